package boot

import (
	"bytes"
	"io/fs"
	"os"
	"strings"
	"sync"

	"leasehold/firmware/config"
	"leasehold/firmware/flash"
	"leasehold/firmware/ring"
)

// wordsKey is what the ring has the last words of a router under.
const wordsKey = "words"

const (
	// leastFile is how large a file is made in which there is no ring yet.
	leastFile = 4 * flash.FileBlockSize
	// mostWords is how much of them is kept.
	mostWords = 1500
	pstoreDir = "/sys/fs/pstore"
	pmsgNode  = "/dev/pmsg0"
)

// keepWords writes down why the machine is rebooted, where that survives: in
// memory that the kernel keeps for it, or else in the ring. The same words as
// before cost no flash, so a router that crashes at every boot does not wear it
// out. Who holds the ring must have ended.
func (s system) keepWords(at config.Ring, words string) error {
	words = words[:min(len(words), mostWords)]
	if f, err := os.OpenFile(s.path(pmsgNode), os.O_WRONLY, 0); err == nil {
		defer f.Close()
		_, err = f.WriteString(words)
		return err
	}
	return putWords(at, []byte(words))
}

func putWords(at config.Ring, words []byte) error {
	dev, err := flash.Open(ringPlace(at), leastFile)
	if err != nil {
		return err
	}
	defer dev.Close()
	r, err := ring.Open(dev)
	if err != nil {
		return err
	}
	if old, _ := r.Get(wordsKey); alike(old, words) {
		return nil // a ring that was cut off would mend itself first
	}
	return r.Put(ring.Entry{Key: wordsKey, Value: words})
}

// alike reports whether words differ in numbers only, as times and addresses do
// from one boot to the next.
func alike(a, b []byte) bool {
	wordsOnly := func(r rune) rune {
		if strings.ContainsRune("0123456789abcdef", r) {
			return -1
		}
		return r
	}
	return bytes.Equal(bytes.Map(wordsOnly, a), bytes.Map(wordsOnly, b))
}

// LastWords returns what the router said before its last crash, or a kernel that
// took it down, as far as memory has kept it; "": it may stand in the ring.
func LastWords() string { return linux.pstoreWords() }

// lastWords looks into the ring too.
func (s system) lastWords(at config.Ring) string {
	if words := s.pstoreWords(); words != "" {
		return words
	}
	dev, err := flash.OpenReadOnly(ringPlace(at))
	if err != nil {
		return "" // the router says what is wrong with the ring
	}
	defer dev.Close()
	r, err := ring.Open(dev)
	if err != nil {
		return ""
	}
	words, _ := r.Get(wordsKey)
	return string(words)
}

// pstoreWords are the router's, or those of a kernel that took it down.
func (s system) pstoreWords() string {
	for _, name := range s.pstored("pmsg-*") {
		text, _ := s.read(name)
		if words := string(bytes.Trim(text, "\x00\n")); words != "" {
			return words
		}
	}
	for _, name := range s.pstored("dmesg-*") {
		text, _ := s.read(name)
		if _, why, ok := bytes.Cut(text, []byte(kernelPanic)); ok {
			why, _, _ = bytes.Cut(why, []byte("\n"))
			return kernelPanic + string(why[:min(len(why), mostWords)])
		}
	}
	return ""
}

// kernelPanic is how the kernel says so.
const kernelPanic = "Kernel panic - not syncing"

func (s system) pstored(pattern string) (names []string) {
	found, _ := fs.Glob(os.DirFS(s.path(pstoreDir)), pattern) // none on most kernels
	for _, name := range found {
		names = append(names, pstoreDir+"/"+name)
	}
	return names
}

// takePanic moves what a kernel said that panicked to the ring, from where it
// would be found again at every boot.
func (s system) takePanic(at config.Ring) {
	found := s.pstored("dmesg-*")
	if len(found) == 0 {
		return
	}
	if words := s.pstoreWords(); words != "" {
		if err := putWords(at, []byte(words)); err != nil {
			s.log.Error("last words not kept", "err", err)
		}
	}
	for _, name := range found {
		os.Remove(s.path(name))
	}
}

// tellLastWords has the console say why the machine was rebooted, not always the
// last time: the words are forgotten after an hour that went well.
func (s system) tellLastWords(at config.Ring) {
	s.takePanic(at)
	if words := s.lastWords(at); words != "" {
		s.log.Warn("the router failed not long ago", "words", words)
	}
}

// A tail keeps the lines that say why a program ended: from the first that looks
// like it on, without what the Go runtime tells of itself, else the last one.
type tail struct {
	mu    sync.Mutex
	why   []byte
	found bool
	skip  bool // the place of a function that was left out
	inner bool // in the stack of the scheduler
}

// deathRattles are how the Go runtime, and leasehold, begin to say why they end.
var deathRattles = []string{"panic:", "fatal error:", "runtime:", "unexpected fault", "SIGQUIT:", "leasehold:"}

func (t *tail) add(line []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range deathRattles {
		if !t.found && bytes.HasPrefix(line, []byte(d)) {
			t.found, t.why = true, nil
		}
	}
	if !t.found {
		t.why = t.why[:0]
	} else if t.ofRuntime(line) {
		return
	}
	if room := mostWords - len(t.why); room > 0 {
		t.why = append(t.why, line[:min(len(line), room)]...)
	}
}

// ofRuntime reports whether the line of a stack is of the runtime's own.
func (t *tail) ofRuntime(line []byte) bool {
	if bytes.HasPrefix(line, []byte("goroutine ")) {
		t.inner = bytes.HasPrefix(line, []byte("goroutine 0 "))
	}
	if !bytes.HasPrefix(line, []byte("\t")) {
		t.skip = bytes.HasPrefix(line, []byte("runtime.")) || bytes.HasPrefix(line, []byte("runtime/"))
	}
	return t.skip || t.inner
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.why))
}

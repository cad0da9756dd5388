package boot

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	watchdogNode = "/dev/watchdog"
	// bite is how long the watchdog is asked to wait. Many can wait for less only.
	bite = 60 * time.Second
)

// A kicker is a watchdog that the kernel has. It bites unless it is kicked, also
// after a crash of this process.
type kicker interface {
	setTimeout(time.Duration) error
	timeout() (time.Duration, error)
	kick() error
}

// A watchdog resets the board when nobody feeds it; nil: the board has none.
type watchdog struct {
	kicker
	every time.Duration // that it wants to be fed
}

// openWatchdog wakes the watchdog, if there is one.
func (s system) openWatchdog() *watchdog {
	k, err := s.dog(s.path(watchdogNode))
	if err != nil {
		if !absent(err) {
			s.log.Error("no watchdog", "err", err)
		}
		return nil
	}
	k.setTimeout(bite) // one that cannot says below what it has
	d := &watchdog{k, time.Second}
	if t, err := k.timeout(); err == nil {
		d.every = max(t/4, time.Second)
	}
	s.log.Info("watchdog", "fed_every", d.every)
	return d
}

func (d *watchdog) feed() {
	if d != nil {
		d.kick() // if it cannot, it bites
	}
}

// interval is how often to feed it.
func (d *watchdog) interval() time.Duration {
	if d == nil {
		return pulseEvery
	}
	return min(d.every, pulseEvery)
}

// A dogFile is /dev/watchdog.
type dogFile struct{ *os.File }

func openDog(path string) (kicker, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return dogFile{f}, nil
}

// The numbers differ between CPUs.
func (d dogFile) setTimeout(t time.Duration) error {
	return unix.IoctlSetPointerInt(int(d.Fd()), unix.WDIOC_SETTIMEOUT, int(t/time.Second))
}

func (d dogFile) timeout() (time.Duration, error) {
	s, err := unix.IoctlGetInt(int(d.Fd()), unix.WDIOC_GETTIMEOUT)
	return time.Duration(s) * time.Second, err
}

func (d dogFile) kick() error {
	_, err := d.Write([]byte{0})
	return err
}

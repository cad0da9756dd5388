package boot

import (
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// shellFile is in an image that has a rescue shell.
	shellFile = "/bin/sh"
	kmsgNode  = "/dev/kmsg"
)

// A console shows what the router says. While the shell has it, dmesg shows that.
type console struct {
	mu   sync.Mutex
	w    io.Writer
	kmsg io.WriteCloser // nil: the shell does not have the console
}

func (c *console) Write(line []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kmsg == nil {
		return c.w.Write(line)
	}
	_, err := c.kmsg.Write(append([]byte("<6>leasehold: "), line...))
	return len(line), err
}

// say shows what is not the router's.
func (c *console) say(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	io.WriteString(c.w, text)
}

// divert has w hear what the router says; nil: the console again.
func (c *console) divert(w io.WriteCloser) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kmsg != nil {
		c.kmsg.Close()
	}
	c.kmsg = w
}

// hasShell reports whether Enter can open one. Process 1 has no terminal to give
// away: only under u-root's init there is one.
func (s system) hasShell() bool {
	_, err := os.Stat(s.path(shellFile))
	return err == nil && !s.first
}

// awaitEnter asks for the shell at each empty line that is typed, and reads no
// more before the shell has ended. A terminal hands on one line at a time, so
// nothing is lost that is typed for the shell. What a serial port receives that
// nothing is plugged into is noise: a shell that it opened would keep a dead router
// from its reboot.
func (k *keeper) awaitEnter(keys io.Reader) {
	var line [256]byte
	for {
		switch n, err := keys.Read(line[:]); {
		case err == io.EOF: // Ctrl-D
			time.Sleep(time.Second)
		case err != nil:
			k.log.Error("the console cannot be read: no shell", "err", err)
			return
		case string(line[:n]) == "\n":
			k.enter <- struct{}{}
			<-k.shellOver
		}
	}
}

// openShell gives the console to a shell. There is no reboot while it is open.
func (k *keeper) openShell() {
	k.over = nil
	kmsg, err := os.OpenFile(k.path(kmsgNode), os.O_WRONLY, 0)
	if err == nil {
		k.console.divert(kmsg)
	}
	if k.dead == "" {
		k.console.say("\nThe router goes on; dmesg shows what it says. Ctrl-D ends the shell, shutdown -r reboots.\n")
	} else {
		k.console.say("\nThe router has ended. Ctrl-D ends the shell, and the machine is rebooted.\n")
	}
	if k.shell, err = k.startShell(shellFile); err != nil {
		k.log.Error("no shell", "err", err)
		k.closeShell()
	}
}

// closeShell takes the console back.
func (k *keeper) closeShell() {
	k.shell = 0
	k.regain()
	k.console.divert(nil)
	k.console.say("\n")
	if k.dead == "" {
		k.hint()
	} else {
		k.countDown()
	}
	k.shellOver <- struct{}{}
}

const enterHint = "Enter opens a shell."

// startShell runs a shell that has the terminal to itself: Ctrl-C is for what it
// runs. There is no Ctrl-Z: a shell that knows no jobs would be stopped with what it
// runs, and nobody could wake it.
func startShell(path string) (int, error) {
	if t, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil {
		t.Cc[unix.VSUSP] = 0
		unix.IoctlSetTermios(0, unix.TCSETS, t)
	}
	p, err := os.StartProcess(path, []string{path}, &os.ProcAttr{
		Dir:   "/",
		Env:   os.Environ(),
		Files: []*os.File{os.Stdin, os.Stdin, os.Stdin}, // standard output may be a pipe to several consoles
		Sys:   &syscall.SysProcAttr{Foreground: true, Ctty: 0},
	})
	if err != nil {
		return 0, err
	}
	pid := p.Pid
	return pid, p.Release()
}

// regainTerminal makes us those whom Ctrl-C is for. Who does that from the
// background is stopped by SIGTTOU, unless it is ignored.
func regainTerminal() { unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp()) }

package boot

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"leasehold/firmware/config"
	"leasehold/firmware/flash"
)

// A startup is how the router is started.
type startup struct {
	args          []string
	output, pulse *os.File
}

// startProcess runs this program once more.
func startProcess(s startup) (int, error) {
	const pulseFD = 3
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	program, err := os.Executable() // by its name, which ps shows
	if err != nil {
		return 0, err
	}
	p, err := os.StartProcess(program, s.args, &os.ProcAttr{
		Dir:   "/",
		Env:   append(os.Environ(), pulseEnv+"="+strconv.Itoa(pulseFD)),
		Files: []*os.File{null, s.output, s.output, s.pulse},
		Sys:   &syscall.SysProcAttr{Setpgid: true}, // Ctrl-C is for us
	})
	if err != nil {
		return 0, err
	}
	pid := p.Pid
	return pid, p.Release() // it is buried with the others
}

func reap() (int, unix.WaitStatus) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err != unix.EINTR {
			return pid, status
		}
	}
}

func ringPlace(r config.Ring) flash.Place { return flash.Place{Path: r.Path, AtEnd: r.AtEnd} }

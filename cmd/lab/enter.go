package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideEnv marks the program that runs in the lab's own namespaces; its value
// is who we are outside.
const insideEnv = "LEASEHOLD_LAB_INSIDE"

func inside() bool { return os.Getenv(insideEnv) != "" }

// enter returns this program, to be run again with the same arguments as the
// first process of namespaces of its own: network, mounts and processes, and
// users where we are not root. When it ends, however it ends, the kernel ends
// every process in them, and takes away their networks and mounts. So nothing
// can be left behind.
func enter() *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", insideEnv, os.Geteuid()))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true, // Ctrl-C reaches the outer program only, which tells us
	}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// noNamespaces explains a failure to start what enter returned.
func noNamespaces(err error) error {
	if os.Geteuid() == 0 && (!inside() || os.Getenv(insideEnv) == "0") {
		return fmt.Errorf("this kernel or container gives us no namespaces (%w); a virtual machine does", err)
	}
	return fmt.Errorf("this kernel lets no ordinary user make namespaces (%w); run it as root, or allow it with\n"+
		"  sysctl -w kernel.unprivileged_userns_clone=1            (Debian)\n"+
		"  sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)", err)
}

// labDir is on a file system that only the lab sees.
const labDir = "/run/lab"

// settle makes the new namespaces a place to work in: what programs write under
// /run and /var/lib goes to memory.
func settle() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return noNamespaces(fmt.Errorf("make mounts private: %w", err))
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, dir := range []string{"/run", "/var/lib"} {
		if err := unix.Mount("lab", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	for _, dir := range []string{labDir, "/run/netns", "/run/dhcpcd", "/var/lib/dhcpcd"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return hideUsers("dhcpcd", "_dhcpcd")
}

// hideUsers makes programs that would become another user stay who they are: a
// namespace made by an ordinary user has only one.
func hideUsers(names ...string) error {
	b, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	var keep []string
	for line := range strings.Lines(string(b)) {
		hide := false
		for _, n := range names {
			hide = hide || strings.HasPrefix(line, n+":")
		}
		if !hide {
			keep = append(keep, line)
		}
	}
	passwd := labDir + "/passwd"
	if err := os.WriteFile(passwd, []byte(strings.Join(keep, "")), 0o644); err != nil {
		return err
	}
	return unix.Mount(passwd, "/etc/passwd", "", unix.MS_BIND, "")
}

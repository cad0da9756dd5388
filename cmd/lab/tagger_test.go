package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// tagged puts a switch between the provider and the cable to the router, which
// tags all that the provider sends and takes the tags off what the router sends.
// It needs no kernel that has VLANs.
func (s *street) tagged(vid, pcp uint16) {
	s.Helper()
	check(s.T, ip(s.isp,
		"link set eth0 down",
		"link set eth0 name line up",
		"link add eth0 type veth peer name trunk",
		"addr flush dev line",
		"addr add "+ispNet+" dev eth0",
		"link set eth0 up",
		"link set trunk up"))
	s.record(s.isp, "line", s.dir+"/line.pcapng") // the other ended when eth0 was set down
	line, trunk := s.tap(s.isp, "line"), s.tap(s.isp, "trunk")
	tag := binary.BigEndian.AppendUint16([]byte{0x81, 0}, pcp<<13|vid)
	go relay(line, trunk, func(frame []byte) []byte { return frame }) // the kernel has taken the tag off
	go relay(trunk, line, func(frame []byte) []byte {
		return bytes.Join([][]byte{frame[:12], tag, frame[12:]}, nil)
	})
}

// tap opens an interface in a namespace for all frames that arrive there. It ends
// with the test.
func (s *street) tap(ns, ifname string) int {
	s.Helper()
	type result struct {
		fd  int
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with us
		fd, err := openTap(ns, ifname)
		done <- result{fd, err}
	}()
	r := <-done
	check(s.T, r.err)
	s.Cleanup(func() { unix.Shutdown(r.fd, unix.SHUT_RDWR); unix.Close(r.fd) })
	return r.fd
}

func openTap(ns, ifname string) (int, error) {
	at, err := unix.Open("/run/netns/"+ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("namespace %s: %w", ns, err)
	}
	defer unix.Close(at)
	if err := unix.Setns(at, unix.CLONE_NEWNET); err != nil {
		return 0, fmt.Errorf("namespace %s: %w", ns, err)
	}
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return 0, err
	}
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all))
	if err != nil {
		return 0, err
	}
	unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1})
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index})
}

// relay copies frames until an end is closed.
func relay(from, to int, change func([]byte) []byte) {
	b := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(from, b, 0)
		if err == unix.EAGAIN || err == unix.EINTR || err == unix.ENETDOWN {
			continue
		}
		if err != nil {
			return
		}
		if n >= 14 {
			unix.Write(to, change(bytes.Clone(b[:n])))
		}
	}
}

// TestAnswersWithPriorityTags: a provider whose switch puts tags of VLAN 0 on
// everything, which are no more than a priority.
func TestAnswersWithPriorityTags(t *testing.T) {
	t.Parallel()
	s := newStreet(t, "")
	s.tagged(0, 5)
	s.provider("1h")
	s.on()
	granted := s.says(s.proc, 0, `msg=bound side=wan addr=(\S+)`)[1]
	s.hasAddress(granted)
	answers := s.packets("dhcp.option.dhcp == 5", "vlan.id", "vlan.priority")
	for _, a := range answers {
		if strings.Join(strings.Fields(a), " ") != "0 5" {
			t.Errorf("an ACK came with the tag %q; want VLAN 0 and priority 5", a)
		}
	}
	if len(answers) == 0 {
		t.Error("no ACK was seen")
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// The machine's two ports. What it sends has these addresses, as what the lab's
// other router sends.
const (
	machineWAN = "02:00:5e:00:01:01"
	machineLAN = "02:00:5e:00:02:01"
)

// machineLimit is how long QEMU runs at most, whatever becomes of the lab.
const machineLimit = 15 * time.Minute

// A machine is an emulated board where the router of a network was.
type machine struct {
	*network
	emulation
	proc     *process
	keyboard io.WriteCloser
	on       time.Time
}

// newMachine puts a board into a network whose router is not switched on.
func newMachine(n *network, board, image string) (*machine, error) {
	e, err := newEmulation(board, filepath.Join(n.dir, "flash"), image)
	if err != nil {
		return nil, err
	}
	m := &machine{network: n, emulation: e}
	return m, m.cableUp()
}

// cableUp makes of the router's namespace the cables of the machine: its WAN
// port to the provider, its LAN port to the laptops.
func (m *machine) cableUp() error {
	return ip(m.router,
		"link set br-lan address 02:00:5e:00:02:02", // or it takes what is for the machine
		"link set wan address 02:00:5e:00:01:02 up",
		"link add br-wan type bridge forward_delay 0",
		"link set wan master br-wan",
		"link set br-wan up",
		"tuntap add dev tap-wan mode tap",
		"tuntap add dev tap-lan mode tap",
		"link set tap-wan master br-wan up",
		"link set tap-lan master br-lan up")
}

// powerOn starts QEMU. What the machine prints on its serial line is what the
// process says.
func (m *machine) powerOn() error {
	const tap = "tap,script=no,downscript=no,ifname=tap-"
	args := []string{"nice", "timeout", "-s", "KILL", fmt.Sprint(machineLimit.Seconds())}
	args = append(args, m.arguments("quiet", cable{"wan", machineWAN, tap + "wan"}, cable{"lan", machineLAN, tap + "lan"})...)
	args = append(args, "-serial", "stdio", "-monitor", "none")
	stdin, keyboard, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	m.on, m.keyboard = time.Now(), keyboard
	m.proc, err = startReading(m.router, stdin, nil, args...)
	return err
}

// until waits for the machine to say something, and returns how long that was
// after it was switched on.
func (m *machine) until(ctx context.Context, mark int, pattern string) (time.Duration, error) {
	if _, err := m.proc.await(ctx, mark, pattern); err != nil {
		return 0, fmt.Errorf("%s: %w; it said:\n%s", m.board.Name, err, m.proc)
	}
	return time.Since(m.on), nil
}

// enter types a line.
func (m *machine) enter(line string) error { return m.press(line + "\n") }

func (m *machine) press(keys string) error {
	_, err := io.WriteString(m.keyboard, keys)
	return err
}

// uBoot is Debian's, for "arm" or "arm64". There is twice as much memory
// behind fitAt as the image takes.
const (
	uBoot = "/usr/lib/u-boot/qemu_%s/u-boot.bin"
	fitAt = "0x44000000"
)

// bootFIT has U-Boot look at the image and start it.
func (m *machine) bootFIT(ctx context.Context) error {
	// A prompt is a line of its own once it was answered.
	for {
		if err := m.enter(""); err != nil {
			return err
		}
		soon, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		_, err := m.proc.await(soon, 0, "^=> ")
		cancel()
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return err
		}
	}
	conf := fitAt + "#" + m.board.Image.Config
	for _, line := range []string{
		"iminfo " + fitAt,
		"setenv bootargs " + m.board.CommandLine() + " quiet",
		"bootm " + conf + " " + conf + " ${fdt_addr}",
	} {
		if err := m.enter(line); err != nil {
			return err
		}
		if _, err := m.until(ctx, 0, "^=> "+line[:6]); err != nil { // not faster than it reads
			return err
		}
	}
	return nil
}

// powerCut takes the power away in the middle of whatever the machine does.
func (m *machine) powerCut() error {
	m.keyboard.Close()
	_, err := m.proc.end(syscall.SIGKILL)
	return err
}

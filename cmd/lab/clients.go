package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// setAddress is the part that the scripts have in common: $ip, $bits, $router.
const setAddress = `
up() {
	ip -4 addr flush dev eth0
	ip addr add "$ip/$bits" brd + dev eth0
	if [ -n "$router" ]; then ip route replace default via "${router%% *}"; fi
}
down() { ip -4 addr flush dev eth0; }
`

// maskBits turns $mask into $bits without help of the client.
const maskBits = `
bits=0
for octet in $(echo "$mask" | tr . ' '); do
	while [ "$octet" -gt 0 ]; do bits=$((bits + octet % 2)); octet=$((octet / 2)); done
done
`

// udhcpc is busybox's client, that of many small devices.
type udhcpc struct{ options []string }

func (udhcpc) program() string { return "udhcpc" }

func (udhcpc) script() string {
	return setAddress + `
bits=$mask
case "$1" in
bound|renew) up ;;
deconfig) down ;;
esac
echo "$1 ip=$ip lease=$lease server=$serverid router=$router dns=${dns%% *} domain=$domain" >"$report"
`
}

func (c udhcpc) start(l *laptop) (*process, error) {
	args := []string{"busybox", "udhcpc", "-f", "-i", "eth0", "-R", "-s", l.file("script"),
		"-p", l.file("pid"), "-x", "hostname:" + l.name, "-A", "2"}
	return start(l.ns, l.hear, append(args, c.options...)...)
}

func (udhcpc) renew(l *laptop) error {
	l.proc.signal(syscall.SIGUSR1)
	return nil
}

func (c udhcpc) reboot(l *laptop) error {
	old := l.addr()
	if _, err := l.proc.end(syscall.SIGKILL); err != nil {
		return err
	}
	var err error
	l.proc, err = udhcpc{append(c.options, "-r", old)}.start(l)
	return err
}

func (udhcpc) release(l *laptop) error {
	l.proc.signal(syscall.SIGUSR2)
	return nil
}

func (udhcpc) word(raw string) string {
	return map[string]string{"bound": "bound", "renew": "renewed", "nak": "refused",
		"leasefail": "failed", "deconfig": "released"}[raw]
}

// dhclient is ISC's, long the client of most Linux laptops.
type dhclient struct{}

func (dhclient) program() string { return "dhclient" }

func (dhclient) script() string {
	return setAddress + `
ip=$new_ip_address mask=$new_subnet_mask router=$new_routers
` + maskBits + `
case "$reason" in
PREINIT) ip link set eth0 up ;;
BOUND|RENEW|REBIND|REBOOT) up ;;
EXPIRE|FAIL|RELEASE|STOP) down ;;
esac
echo "$reason ip=$new_ip_address lease=$new_dhcp_lease_time t1=$new_dhcp_renewal_time server=$new_dhcp_server_identifier router=$router dns=${new_domain_name_servers%% *} domain=$new_domain_name" >"$report"
`
}

// start runs a copy of dhclient: where AppArmor confines the one in /sbin, that
// one may not call our script.
func (dhclient) start(l *laptop) (*process, error) {
	copied, err := l.copyOf("dhclient")
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf("send host-name %q;\ntimeout 60;\ninitial-interval 1;\nbackoff-cutoff 2;\nreboot 8;\nretry 5;\n"+
		"request dhcp-renewal-time, subnet-mask, broadcast-address, routers, domain-name, domain-name-servers;\n", l.name)
	if err := os.WriteFile(l.file("conf"), []byte(conf), 0o644); err != nil {
		return nil, err
	}
	return start(l.ns, l.hear, append([]string{copied, "-d"}, l.dhclientArgs()...)...)
}

func (l *laptop) dhclientArgs() []string {
	return []string{"-4", "-cf", l.file("conf"), "-lf", l.file("leases"), "-pf", l.file("pid"), "-sf", l.file("script"), "eth0"}
}

// renew leaves dhclient alone: it renews when T1 comes and cannot be told to.
func (dhclient) renew(*laptop) error { return nil }

func (c dhclient) reboot(l *laptop) (err error) {
	if _, err := l.proc.end(syscall.SIGKILL); err != nil {
		return err
	}
	os.Remove(l.file("pid"))
	l.proc, err = c.start(l)
	return err
}

func (dhclient) release(l *laptop) error {
	_, err := run(l.ns, append([]string{l.file("dhclient"), "-r"}, l.dhclientArgs()...)...)
	return err
}

func (dhclient) word(raw string) string {
	return map[string]string{"BOUND": "bound", "RENEW": "renewed", "REBIND": "renewed", "REBOOT": "rebooted",
		"FAIL": "failed", "EXPIRE": "expired", "RELEASE": "released"}[raw]
}

// dhcpcd is Roy Marples's, long that of Raspberry Pi. It keeps its files where
// another one on the same machine would; so each gets such places of its own.
type dhcpcd struct {
	option string
	arp    bool // asks who uses an address before it takes it
}

func (dhcpcd) program() string { return "dhcpcd" }

func (dhcpcd) script() string {
	return `
echo "$reason ip=$new_ip_address lease=$new_dhcp_lease_time t1=$new_dhcp_renewal_time server=$new_dhcp_server_identifier router=$new_routers dns=${new_domain_name_servers%% *} domain=$new_domain_name" >"$report"
`
}

func (c dhcpcd) start(l *laptop) (*process, error) {
	program, err := find("dhcpcd")
	if err != nil {
		return nil, err
	}
	noarp := "noarp\n"
	if c.arp {
		noarp = ""
	}
	conf := "hostname " + l.name + "\nclientid\n" + noarp + "reboot 5\noption dhcp_renewal_time, subnet_mask, routers, domain_name_servers, domain_name, broadcast_address\n"
	if err := os.WriteFile(l.file("conf"), []byte(conf), 0o644); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(l.file("lib"), 0o755); err != nil {
		return nil, err
	}
	args := []string{"unshare", "-m", "sh", "-c", `
mount --bind "$1" /var/lib/dhcpcd && mount -t tmpfs lab /run/dhcpcd && shift && exec "$@"`,
		"sh", l.file("lib"), program, "-4", "-B", "-f", l.file("conf"), "-c", l.file("script")}
	if c.option != "" {
		args = append(args, c.option)
	}
	return start(l.ns, l.hear, append(args, "eth0")...)
}

func (dhcpcd) renew(l *laptop) error {
	l.proc.signal(syscall.SIGUSR1)
	return nil
}

// reboot kills dhcpcd; the next one finds the lease that it wrote down.
func (c dhcpcd) reboot(l *laptop) (err error) {
	if _, err := l.proc.end(syscall.SIGKILL); err != nil {
		return err
	}
	l.proc, err = c.start(l)
	return err
}

func (dhcpcd) release(l *laptop) error {
	l.proc.signal(syscall.SIGALRM)
	return nil
}

func (dhcpcd) word(raw string) string {
	return map[string]string{"BOUND": "bound", "RENEW": "renewed", "REBIND": "renewed", "REBOOT": "rebooted",
		"NAK": "refused", "FAIL": "failed", "EXPIRE": "expired", "RELEASE": "released", "STOPPED": "released"}[raw]
}

// copyOf copies a program into the lab. cp does it: a file that this program
// has open for writing while it starts another one cannot be run.
func (l *laptop) copyOf(program string) (string, error) {
	path, err := find(program)
	if err != nil {
		return "", err
	}
	to := l.file(program)
	if out, err := exec.Command("cp", path, to).CombinedOutput(); err != nil {
		return "", fmt.Errorf("copy %s: %w: %s", path, err, out)
	}
	return to, nil
}

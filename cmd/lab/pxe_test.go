package main

import (
	"os"
	"syscall"
	"testing"
)

// TestPXE: a machine without a system asks by the PXE in its card's ROM, which is
// iPXE, what to boot from, fetches that, and says what it was told; the system
// that it then boots, with another identifier on the same card, has the same
// address.
func TestPXE(t *testing.T) {
	t.Parallel()
	s := newStreet(t, `
config interface 'wan'
	option proto 'none'
config dnsmasq
	option domain 'home.example'
config dhcp 'lan'
	list dhcp_option 'tag:rom,6,192.0.2.66'
config userclass
	option networkid 'rom'
	option userclass 'iPXE'
config match
	option networkid 'bios'
	option match 'option:client-arch,0'
config boot
	option filename 'for-others'
config boot
	option networkid 'bios'
	option filename 'bios.0'
	option serveraddress '192.168.1.7'
`)
	s.on()
	s.says(s.proc, 0, "msg=serving")

	files, _, err := s.addLaptop("files", 7)
	check(t, err)
	check(t, ip(files, "addr add 192.168.1.7/24 dev eth0"))
	root := s.dir + "/tftp"
	check(t, os.MkdirAll(root, 0o755))
	check(t, os.WriteFile(root+"/bios.0", []byte("#!ipxe\n"+
		"imgfetch tftp://${net0/next-server}/says/${net0/ip}/${net0/gateway}/${net0/dns}/${net0/domain}/${net0/filename} ||\nshell\n"), 0o644))
	tftp := s.spawn(files, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root", "--port=0",
		"--enable-tftp", "--tftp-root="+root, "--pid-file="+s.dir+"/tftp.pid")

	check(t, ip(s.router, "tuntap add dev pxe mode tap", "link set pxe master br-lan up"))
	machine := s.spawn(s.router, "timeout", "-s", "KILL", "300", "qemu-system-x86_64", "-m", "64", "-nographic", "-monitor", "none",
		"-boot", "n", "-nic", "tap,ifname=pxe,script=no,downscript=no,model=e1000,mac=02:00:5e:00:03:01")
	had := s.says(s.proc, 0, `msg=bound .*client=02:00:5e:00:03:01 .*addr=(\S+)`)[1]
	s.says(tftp, 0, "sent .*/bios.0 to "+had)
	s.says(tftp, 0, "says/"+had+"/192.168.1.1/192.0.2.66/home.example/bios.0")
	_, err = machine.end(syscall.SIGKILL)
	check(t, err)
	check(t, ip(s.router, "link del pxe"))

	system := s.laptop("system", 1, udhcpc{}) // on the same card
	if got := s.once(system, "-C", "-x", "0x3d:ff00000001000300010200000000aa")["ip"]; got != had {
		t.Errorf("the ROM had %s, the system has %s", had, got)
	}
}

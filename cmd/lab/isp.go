package main

import "fmt"

// startISP starts dnsmasq as the provider's DHCP server, with leases of the
// given time. Its own floor is two minutes; T1 can be sent shorter.
func (n *network) startISP(hear func(string), leaseTime string, more ...string) (*process, error) {
	dnsmasq, err := find("dnsmasq")
	if err != nil {
		return nil, err
	}
	args := []string{dnsmasq,
		"--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root", "--no-ping",
		"--port=0", "--log-dhcp", "--interface=eth0", "--bind-interfaces",
		"--pid-file=" + n.dir + "/dnsmasq.pid",
		"--dhcp-leasefile=" + n.dir + "/dnsmasq.leases",
		fmt.Sprintf("--dhcp-range=%s,%s,%s", ispFirst, ispLast, leaseTime),
		"--dhcp-option=option:router," + ispAddr,
		"--dhcp-option=option:dns-server," + ispDNS,
		"--dhcp-option=option:domain-name,isp.example",
	}
	return start(n.isp, hear, append(args, more...)...)
}

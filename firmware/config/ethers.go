package config

import (
	"fmt"
	"slices"
	"strings"
)

// EthersFile is where option readethers has hosts read from.
const EthersFile = "/etc/ethers"

// AddEthers adds the hosts of a file of lines `MAC ADDRESS` and `MAC NAME`. A
// host that is known by that address or name gets one more card.
func (c *Config) AddEthers(file string, text []byte) []Problem {
	r := report{file: file}
	taken := claims{}
	for _, h := range c.Hosts {
		taken.add(h)
	}
	line := 0
	for row := range strings.Lines(string(text)) {
		line++
		row, _, _ = strings.Cut(row, "#")
		words := strings.Fields(row)
		if len(words) == 0 {
			continue
		}
		if err := c.addEther(line, words, taken); err != nil {
			r.fault(line, "%v", err)
		}
	}
	return r.problems
}

func (c *Config) addEther(line int, words []string, taken claims) error {
	if len(words) != 2 {
		return fmt.Errorf("%s: a MAC address and an address or a name are wanted", show(strings.Join(words, " ")))
	}
	mac, err := macAddr(words[0])
	if err != nil {
		return err
	}
	if _, ok := taken[mark("mac", mac[:])]; ok {
		return fmt.Errorf("%s belongs to another host", show(words[0]))
	}
	h := Host{Line: line}
	if strings.Trim(words[1], "0123456789.") == "" {
		h.Addr, err = c.reservable(words[1], claims{})
	} else {
		h.Name, err = domainName(words[1])
	}
	if err != nil {
		return err
	}
	i := slices.IndexFunc(c.Hosts, func(o Host) bool {
		return h.Addr.IsValid() && o.Addr == h.Addr || h.Name != "" && strings.EqualFold(o.Name, h.Name)
	})
	if i < 0 {
		i = len(c.Hosts)
		c.Hosts = append(c.Hosts, h)
	}
	c.Hosts[i].MACs = append(c.Hosts[i].MACs, mac)
	taken[mark("mac", mac[:])] = line
	return nil
}

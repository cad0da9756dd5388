package router

import (
	"leasehold/dhcp"
	"leasehold/dhcp/server"
	"leasehold/firmware/config"
)

// What the configuration says about clients, in the server's words.

func serverHost(h config.Host) server.Host {
	out := server.Host{
		DUIDs:     h.DUIDs,
		Circuits:  h.Circuits,
		ByName:    h.ByName,
		Need:      h.Need,
		Addr:      h.Addr,
		Name:      dhcp.HostName(h.Name),
		Term:      h.LeaseTime,
		Ignore:    h.Ignore,
		Broadcast: h.Broadcast,
		Tags:      h.Tags,
		Options:   serverOptions(h.Options),
	}
	for _, mac := range h.MACs {
		out.HW = append(out.HW, mac)
	}
	for _, p := range h.Patterns {
		out.Patterns = append(out.Patterns, server.Pattern{HW: p.MAC, Mask: p.Mask})
	}
	for _, id := range h.ClientIDs {
		out.IDs = append(out.IDs, dhcp.IdentifierID(id))
	}
	return out
}

func serverOptions(all ...[]config.DHCPOption) (out []server.Option) {
	for _, some := range all {
		for _, o := range some {
			out = append(out, server.Option{
				Tags:   o.Tags,
				Vendor: o.Vendor,
				Code:   o.Code,
				Sub:    o.Sub,
				Value:  o.Value,
				Addrs:  o.Addrs,
				Force:  o.Force,
			})
		}
	}
	return out
}

func serverClasses(all []config.Class) (out []server.Class) {
	for _, c := range all {
		out = append(out, server.Class{
			Tag:   c.Tag,
			HW:    server.Pattern{HW: c.MAC.MAC, Mask: c.MAC.Mask},
			Code:  c.Code,
			Sub:   c.Sub,
			Value: c.Value,
			Part:  c.Part,
		})
	}
	return out
}

func serverBoots(all []config.Boot) (out []server.Boot) {
	for _, b := range all {
		boot := server.Boot{File: b.File, ServerName: b.ServerName, Server: b.Server}
		if b.Tag != "" {
			boot.Tags = []string{b.Tag}
		}
		out = append(out, boot)
	}
	return out
}

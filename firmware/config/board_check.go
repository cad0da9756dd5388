package config

import (
	"slices"
	"strconv"
	"strings"
)

// leastSegments is how many erase blocks a ring needs.
const leastSegments = 3

// octetsOfMAC are read at a MACSource.
const octetsOfMAC = 6

// check finds what each line for itself could not tell.
func (r *boardReader) check(name string) {
	r.checkBoard(name)
	for i := range r.Flashes {
		r.checkFlash(r.Flashes[i])
	}
	for i, p := range r.Partitions {
		if _, ok := r.Flash(p.Flash); !ok {
			r.fault(r.partitionLine(i), "config partition: no flash is called %s", show(p.Flash))
		}
	}
	r.checkImage()
	r.checkState()
	r.checkPorts()
	r.checkSwitch()
	for _, m := range r.MACs {
		r.checkMAC(m)
	}
	r.checkQEMU()
}

func (r *boardReader) partitionLine(i int) int { return r.lineOf("partition", strconv.Itoa(i)) }

func (r *boardReader) checkBoard(name string) {
	line := r.lineOf("board")
	if line == 0 {
		r.fault(0, "there is no config board")
		return
	}
	base := name[strings.LastIndexByte(name, '/')+1:]
	for _, c := range []struct {
		bad  bool
		what string
	}{
		{r.Name != base, "name must be that of the file, " + show(base)},
		{r.Model == "", "model is missing"},
		{r.CPU.Arch == "", "goarch is missing"},
		{r.CPU.Arch == "arm" && r.CPU.ARM == "", "goarm is missing"},
		{r.CPU.Arch != "arm" && r.CPU.ARM != "", "goarm is for arm"},
		{strings.HasPrefix(r.CPU.Arch, "mips") != (r.CPU.MIPS != ""), "gomips 'softfloat' belongs to mips and mipsle"},
		{r.RAM < 32<<20, "ram is missing, or less than 32M"},
		{r.Console.Device == "", "console is missing"},
		{r.Source == "", "source is missing: where are these facts from?"},
		{r.QEMU.System == "" && len(r.Compatible) == 0, "compatible is missing"},
	} {
		if c.bad {
			r.fault(line, "config board: %s", c.what)
		}
	}
}

// checkFlash has the partitions of one chip follow each other up to its end, so
// that a slip in one number shows.
func (r *boardReader) checkFlash(f Flash) {
	line := r.lineOf("flash", f.Name)
	if f.Name == "" || f.Kind == "" || f.Size == 0 || (f.Kind != "emmc" && (f.Erase == 0 || f.Size%f.Erase != 0)) {
		r.fault(line, "config flash: name, kind, size and erase are needed, and size in whole erase blocks")
		return
	}
	end := int64(0)
	for i, p := range r.Partitions {
		if p.Flash != f.Name {
			continue
		}
		r.checkPartition(f, p, end, r.partitionLine(i))
		end = p.Offset + p.Size
	}
	if end != f.Size && f.Kind != "emmc" {
		r.fault(line, "config flash '%s': the partitions end at %#x, the chip at %#x; is a gap missing?", f.Name, end, f.Size)
	}
}

func (r *boardReader) checkPartition(f Flash, p Partition, end int64, line int) {
	switch {
	case p.Use == "" || p.Size <= 0 || p.Name == "" && p.Use != UseGap:
		r.fault(line, "config partition: name, offset, size and use are needed")
	case p.Offset != end:
		r.fault(line, "partition %s begins at %#x, the one before it ends at %#x; is a gap missing?", show(p.Name), p.Offset, end)
	case f.Erase > 0 && (p.Offset%f.Erase != 0 || p.Size%f.Erase != 0):
		r.fault(line, "partition %s is not in whole erase blocks of %s", show(p.Name), formatSize(f.Erase))
	case p.Offset+p.Size > f.Size:
		r.fault(line, "partition %s ends at %#x, behind the end of the flash at %#x", show(p.Name), p.Offset+p.Size, f.Size)
	case p.Name != "" && r.named(p.Name) > 1:
		r.fault(line, "partition %s is there twice", show(p.Name))
	}
}

func (r *boardReader) named(name string) (n int) {
	for _, p := range r.Partitions {
		if p.Name == name {
			n++
		}
	}
	return n
}

func (r *boardReader) checkImage() {
	i, line := r.Image, r.lineOf("image")
	p, onFlash := r.ImagePartition()
	f, _ := r.Flash(p.Flash)
	needsFlash := !slices.Contains([]How{Side, Multi, Files}, i.How)
	for _, c := range []struct {
		bad  bool
		what string
	}{
		{i.How == "", "how is missing"},
		{len(i.Outputs) == 0, "out is missing"},
		{needsFlash && r.QEMU.System == "" && !onFlash, "no partition has use 'image'"},
		{onFlash && i.Limit > p.Size, "limit is more than the partition " + show(p.Name) + " has"},
		{onFlash && f.Kind == "nand" && i.Volume == "", "on NAND the image needs a volume of UBI"},
		{slices.ContainsFunc(i.Outputs, inBlocks) && f.Erase == 0, "out 'sysupgrade', 'factory-ubi' and 'safeloader' are for flash with erase blocks"},
		{slices.ContainsFunc(i.Outputs, i.How.notFor), "how '" + string(i.How) + "' makes no such out"},
		{slices.Contains(i.Outputs, "safeloader") && !r.safeLoaderFits(p), "out 'safeloader' needs a config safeloader with the partition 'firmware' where the image goes"},
		{i.How == Builtin && !slices.Contains(builtinWraps, i.Wrap), "how 'builtin' needs a wrap of " + strings.Join(builtinWraps, ", ")},
		{i.Load == 0 && i.Wrap != "trx" && slices.Contains([]How{Builtin, FIT, Multi}, i.How), "load is missing"},
		{i.How == FIT && (i.RamdiskLoad == 0 || i.FDTLoad == 0 || i.Config == ""), "a FIT needs ramdisk_load, fdt_load and config"},
		{i.How == Files && min(i.Load, i.RamdiskLoad, i.FDTLoad) == 0, "files need load, ramdisk_load and fdt_load"},
	} {
		if c.bad {
			r.fault(line, "config image: %s", c.what)
		}
	}
}

// builtinWraps are those that a kernel can come in with the initramfs in it.
var builtinWraps = []string{"uimage-lzma", "uimage-none", "tplink", "trx"}

// inBlocks reports whether an output is padded to erase blocks.
func inBlocks(out string) bool {
	return slices.Contains([]string{"sysupgrade", "factory-ubi", "safeloader"}, out)
}

// notFor reports whether an output is made in another way only: files side by
// side are no image, nor is an image files.
func (h How) notFor(out string) bool {
	switch h {
	case Files:
		return out != "files"
	case Side:
		return out != "qemu" && out != "itb"
	}
	return out == "files" || out == "qemu"
}

func (r *boardReader) safeLoaderFits(image Partition) bool {
	p, ok := find(r.SafeLoader.Partitions, func(p Partition) bool { return p.Name == "firmware" })
	return ok && p.Offset == image.Offset && p.Size == image.Size && len(r.SafeLoader.Support) > 0
}

// checkState keeps the ring off the image and off what is not ours.
func (r *boardReader) checkState() {
	s, line := r.State, r.lineOf("state")
	if s == (State{}) {
		return
	}
	if s.Partition == "" {
		if s.Device == "" || s.FS == "" || s.File == "" || s.AtEnd != 0 || s.Volume != "" {
			r.fault(line, "config state: partition is missing, or device, fs and file")
		}
		return
	}
	p, ok := r.Partition(s.Partition)
	f, _ := r.Flash(p.Flash)
	if !ok {
		r.fault(line, "config state: no partition is called %s", show(s.Partition))
		return
	}
	size := s.AtEnd
	if size == 0 {
		size = p.Size
	}
	for _, c := range []struct {
		bad  bool
		what string
	}{
		{p.Use != UseState && p.Use != UseImage, "partition " + show(p.Name) + " is not ours to write"},
		{s.Device != "" || s.FS != "", "device and fs are not for a partition of flash"},
		{f.Kind == "nand" && (s.Volume == "" || s.File == "" || s.AtEnd != 0), "on NAND the ring needs a volume of UBI and a file"},
		{f.Kind == "nor" && (s.Volume != "" || s.File != ""), "on NOR the ring is on the partition itself"},
		{s.AtEnd > p.Size, "at_end is more than the partition has"},
		{f.Kind == "nor" && f.Erase > 0 && size%f.Erase != 0, "at_end is not in whole erase blocks"},
		{f.Kind == "nor" && size < leastSegments*f.Erase, "the ring needs at least three erase blocks"},
		{f.Kind == "nor" && p.Use == UseImage && s.AtEnd == 0, "at_end is missing: the image is there too"},
		{f.Kind == "nor" && p.Use == UseImage && r.Image.Limit > p.Size-s.AtEnd, "the image may reach the ring: image limit is more than " + formatSize(p.Size-s.AtEnd)},
	} {
		if c.bad {
			r.fault(line, "config state: %s", c.what)
		}
	}
}

func (r *boardReader) checkPorts() {
	for _, port := range []struct{ name, device string }{{lanName, r.Ports.LAN}, {wanName, r.Ports.WAN}} {
		if port.device == "" {
			r.fault(r.lineOf("interface", port.name), "config interface '%s' with its device is missing", port.name)
		}
	}
	if r.Ports.WAN == r.Ports.LAN || slices.Contains(r.Ports.Bridged, r.Ports.WAN) {
		r.fault(r.lineOf("interface", "wan"), "%s is a port of the LAN", show(r.Ports.WAN))
	}
	sorted := slices.Sorted(slices.Values(r.Ports.Bridged))
	if len(slices.Compact(sorted)) != len(r.Ports.Bridged) {
		r.fault(r.lineOf("device"), "config device: a port is there twice")
	}
}

// checkSwitch sees to it that LAN and WAN are in VLANs of their own: a switch
// that is not told so hands our answers to the provider's other customers.
func (r *boardReader) checkSwitch() {
	line := r.lineOf("switch")
	if len(r.Switches) == 0 {
		if len(r.VLANs) > 0 {
			r.fault(r.lineOf("switch_vlan"), "config switch_vlan without a config switch")
		}
		return
	}
	members := map[string]bool{}
	for _, v := range r.VLANs {
		if !slices.ContainsFunc(r.Switches, func(s Switch) bool { return s.Name == v.Switch }) {
			r.fault(r.lineOf("switch_vlan"), "vlan %d: no switch is called %s", v.ID, show(v.Switch))
		}
		for _, p := range v.Ports {
			member := v.Switch + " " + strconv.Itoa(p.Port)
			if !p.Tagged && members[member] {
				r.fault(r.lineOf("switch_vlan"), "port %d is in two VLANs without a tag", p.Port)
			}
			members[member] = !p.Tagged
		}
	}
	for _, s := range r.Switches {
		if s.Name == "" || !s.VLAN {
			r.fault(line, "config switch: name and enable_vlan '1' are needed, or LAN and WAN are one network")
		}
	}
	lan := r.Ports.Bridged
	if len(lan) == 0 {
		lan = []string{r.Ports.LAN}
	}
	for _, d := range append(slices.Clone(lan), r.Ports.WAN) {
		if !r.hasVLAN(d) {
			r.fault(line, "config switch: no switch_vlan with a tagged port is for %s", show(d))
		}
	}
}

// hasVLAN tells whether the VLAN of eth0.2 reaches the CPU with a tag.
func (r *boardReader) hasVLAN(device string) bool {
	_, id, _ := strings.Cut(device, ".")
	return slices.ContainsFunc(r.VLANs, func(v SwitchVLAN) bool {
		return strconv.Itoa(v.ID) == id && slices.ContainsFunc(v.Ports, func(p SwitchPort) bool { return p.Tagged })
	})
}

func (r *boardReader) checkMAC(m MACSource) {
	p, ok := r.Partition(m.Partition)
	line := r.lineOf("mac", m.Port)
	switch {
	case !ok:
		r.fault(line, "config mac '%s': no partition is called %s", m.Port, show(m.Partition))
	case m.Offset > p.Size-octetsOfMAC:
		r.fault(line, "config mac '%s': offset %#x is behind the end of partition %s", m.Port, m.Offset, show(p.Name))
	case p.Use == UseImage || p.Use == UseState:
		r.fault(line, "config mac '%s': partition %s is overwritten by us", m.Port, show(p.Name))
	}
}

func (r *boardReader) checkQEMU() {
	q, line := r.QEMU, r.lineOf("qemu")
	switch {
	case q.System == "" && line == 0 && r.Image.How != Side:
	case q.System == "" || q.Machine == "" || q.NIC == "":
		r.fault(line, "config qemu: system, machine and nic are needed")
	case r.Kernel.Dir() != "" && r.Kernel.Arch == "":
		r.fault(r.lineOf("kernel"), "config kernel: package and source need their arch")
	case r.Kernel.Package != "" && r.Kernel.Source != "":
		r.fault(r.lineOf("kernel"), "config kernel: package or source, not both")
	}
}

package config

import "strings"

// NewBoard returns a description to start from: a made-up board, without
// problems, in which every line wants to be looked up.
func NewBoard(name string) []byte {
	return []byte(strings.ReplaceAll(newBoard, "NAME", name))
}

const newBoard = `# What this board is, and how its ports are wired.

config board
	option name 'NAME'
	option model 'Vendor Model'
	list compatible 'vendor,model'   # /proc/device-tree/compatible
	list supported 'vendor,model'    # as OpenWrt's sysupgrade knows it
	option goarch 'mipsle'           # mips, mipsle: gomips 'softfloat'; arm: goarm '7'; arm64
	option gomips 'softfloat'
	option ram '128M'
	option console 'ttyS0,115200'
	option status 'untested'
	option source 'the device tree and the image recipe these facts are from'

config flash 'nor'
	option kind 'nor'
	option size '16M'
	option erase '64k'

# Partitions in ascending order up to the end of the flash; gaps have use 'gap'.

config partition
	option name 'u-boot'
	option offset '0'
	option size '0x30000'
	option use 'loader'

config partition
	option name 'u-boot-env'
	option offset '0x30000'
	option size '0x10000'
	option use 'env'

config partition
	option name 'factory'
	option offset '0x40000'
	option size '0x10000'
	option use 'mac'

config partition
	option name 'firmware'
	option offset '0x50000'
	option size '0xfb0000'
	option use 'image'

config image
	option how 'builtin'             # fit-swap, fit, multi, files
	option wrap 'uimage-lzma'        # uimage-none, tplink, trx
	option load '0x80000000'
	option entry '0x80000000'
	option limit '15808k'            # what fits, less the state
	option max_unpacked '12M'        # what the boot loader can unpack
	list out 'sysupgrade'

# With swconfig only; a board with DSA names its ports below.

config switch
	option name 'switch0'
	option reset '1'
	option enable_vlan '1'

config switch_vlan
	option device 'switch0'
	option vlan '1'
	option ports '1 6t'

config switch_vlan
	option device 'switch0'
	option vlan '2'
	option ports '0 6t'

config device
	option name 'br-lan'
	option type 'bridge'
	list ports 'eth0.1'

config interface 'lan'
	option device 'br-lan'

config interface 'wan'
	option device 'eth0.2'

config mac 'wan'
	option partition 'factory'
	option offset '0x4'

config state
	option partition 'firmware'
	option at_end '256k'

config recovery
	option how 'What to press to get the boot loader to take another image.'
`

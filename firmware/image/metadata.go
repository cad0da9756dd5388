package image

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

const (
	blockMagic   = 0x46577830 // "FWx0"
	blockTrailer = 16
	blockHeader  = 8 // zeros before the JSON; a signature has none

	blockSignature = 0
	blockMetadata  = 1

	maxMetadata  = 30 << 10 // octets that fwtool takes
	maxSignature = 1 << 10
)

var blockKinds = map[byte]string{blockSignature: "signature", blockMetadata: "metadata"}

// Metadata is what sysupgrade wants to know of an image before it flashes it.
//
// It is the first of the blocks that fwtool appends, the other is a signature:
//
//	+-------+-----------+------+---------+-------+-----+------+-------+------+
//	| image | 8 zeros   | JSON | trailer | text of a signature  | trailer     |
//	+-------+-----------+------+---------+----------------------+-------------+
//
//	trailer
//	 0       4     8      9       12     16
//	+-------+-----+------+-------+------+
//	| magic | CRC | type | zeros | size |
//	+-------+-----+------+-------+------+
//
// Numbers are big-endian. The checksum is a CRC-32 that is not inverted at its
// end, of everything before the trailer; the size is that of the block, with its
// trailer.
type Metadata struct {
	Devices       []string // the "compatible" of every board that it is for
	Compat        string   // compat_version; empty means 1.0
	CompatMessage string   // for the user of a board whose Compat is another

	Dist, Version, Revision, Target, Board string
}

type metadataJSON struct {
	MetadataVersion string   `json:"metadata_version"`
	CompatVersion   string   `json:"compat_version"`
	CompatMessage   string   `json:"compat_message,omitempty"`
	New             []string `json:"new_supported_devices,omitempty"`
	Supported       []string `json:"supported_devices"`
	Version         struct {
		Dist     string `json:"dist"`
		Version  string `json:"version"`
		Revision string `json:"revision"`
		Target   string `json:"target"`
		Board    string `json:"board"`
	} `json:"version"`
}

// AppendMetadata appends the metadata of an image to it, as append does: into the
// spare room of the slice if there is any. Nothing but a signature may follow.
func AppendMetadata(image []byte, m Metadata) ([]byte, error) {
	j := metadataJSON{MetadataVersion: "1.1", CompatVersion: m.Compat, CompatMessage: m.CompatMessage, Supported: m.Devices}
	if m.Compat == "" {
		j.CompatVersion = "1.0"
	}
	if j.CompatVersion != "1.0" {
		// An older sysupgrade knows no versions. It is to refuse, and to show this.
		j.New, j.Supported = m.Devices, []string{m.CompatMessage}
	}
	j.Version.Dist, j.Version.Version, j.Version.Revision = m.Dist, m.Version, m.Revision
	j.Version.Target, j.Version.Board = m.Target, m.Board
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	if len(text) > maxMetadata {
		return nil, fmt.Errorf("metadata take %d octets, fwtool reads %d", len(text), maxMetadata)
	}
	return appendBlock(image, blockMetadata, append(make([]byte, blockHeader), text...)), nil
}

// AppendSignature appends a signature of the image and its metadata.
func AppendSignature(image []byte, key SecretKey) []byte {
	return appendBlock(image, blockSignature, key.Sign(image))
}

func appendBlock(b []byte, kind byte, content []byte) []byte {
	b = append(b, content...)
	sum := ^crc32.ChecksumIEEE(b)
	b = binary.BigEndian.AppendUint32(b, blockMagic)
	b = binary.BigEndian.AppendUint32(b, sum)
	b = append(b, kind, 0, 0, 0)
	return binary.BigEndian.AppendUint32(b, uint32(len(content)+blockTrailer))
}

// ParseMetadata returns the metadata of an image, the image without its blocks,
// and the text of the signature, which is empty if there is none. It checks
// neither the image nor the signature. The error is a Fault.
func ParseMetadata(image []byte) (m Metadata, bare, signature []byte, err error) {
	l := alone("file", image)
	d := &dissector{layers: maxLayers}
	end := d.blocks(l)
	if err := l.damage(); err != nil {
		return Metadata{}, nil, nil, err
	}
	in := l.Find("metadata")
	if in == nil {
		return Metadata{}, nil, nil, Fault{"file", 0, int64(len(image)), "there are no metadata"}
	}
	if s := l.Find("signature"); s != nil {
		signature = s.place.b[:len(s.place.b)-blockTrailer]
	}
	return in.metadata(), image[:end:end], signature, nil
}

// blocks reads the blocks at the end of a file as layers of l, in their order,
// and returns where the first begins.
func (d *dissector) blocks(l *Layer) int {
	b := l.place.b
	end := len(b)
	for end >= blockTrailer && d.layers > 0 {
		t := b[end-blockTrailer : end]
		if binary.BigEndian.Uint32(t) != blockMagic {
			break
		}
		l.Kind, l.path = "sysupgrade", "sysupgrade"
		size := int64(binary.BigEndian.Uint32(t[12:]))
		if size < blockTrailer || size > int64(end) {
			l.fault(end-4, end, "the last block says %d octets, there are %d", size, end)
			break
		}
		from := end - int(size)
		kind := blockKinds[t[8]]
		in := &Layer{Kind: kind, Off: int64(from), Size: size, place: l.place.sub(from, end), path: l.way(kind)}
		d.layers--
		in.block(b[:end])
		l.Layers = slices.Insert(l.Layers, 0, in)
		end = from
	}
	return end
}

// block reads one block, the last of the octets of a file up to its end.
func (l *Layer) block(file []byte) {
	end := len(file) - blockTrailer
	content, t := l.place.b[:len(l.place.b)-blockTrailer], file[end:]
	at := len(content)
	switch t[8] {
	case blockMetadata:
		l.metadata()
	case blockSignature:
		l.signature(content)
	default:
		l.fault(at+8, at+9, "type %d is not known", t[8])
	}
	l.filled(at+9, at+12, 0, "padding")
	says, is := binary.BigEndian.Uint32(t[4:]), ^crc32.ChecksumIEEE(file[:end])
	if says != is {
		l.fault(at-end, at, "checksum of all octets before it says %08x, is %08x", says, is)
	}
}

func (l *Layer) metadata() (m Metadata) {
	b := l.place.b[:len(l.place.b)-blockTrailer]
	var j metadataJSON
	if len(b) < blockHeader {
		l.fault(0, len(b), "it has no header")
		return m
	}
	l.filled(0, blockHeader, 0, "header")
	if err := json.Unmarshal(b[blockHeader:], &j); err != nil {
		l.fault(blockHeader, len(b), "no JSON: %v", err)
		return m
	}
	m = Metadata{
		Devices: j.Supported, Compat: j.CompatVersion, CompatMessage: j.CompatMessage, Dist: j.Version.Dist,
		Version: j.Version.Version, Revision: j.Version.Revision, Target: j.Version.Target, Board: j.Version.Board,
	}
	if len(j.New) > 0 {
		m.Devices = j.New
	}
	l.Facts = nil
	l.fact("devices", "%q", strings.Join(m.Devices, " "))
	l.fact("compat", "%s", m.Compat)
	l.fact("version", "%q", strings.TrimSpace(m.Dist+" "+m.Version))
	return m
}

// signature reads what stands in a block of a signature: signify's form, or a
// chain of certificates that is OpenWrt's own.
func (l *Layer) signature(text []byte) {
	if len(text) > maxSignature {
		l.fault(0, len(text), "it takes %d octets, fwtool reads %d", len(text), maxSignature)
	}
	if s, err := parseSignature(text); err == nil {
		l.fact("key", "%x", s.id)
		return
	}
	magic := binary.BigEndian.AppendUint32(nil, blockMagic)
	header := append(make([]byte, blockHeader), '{')
	if bytes.HasPrefix(text, []byte(comment)) || bytes.HasPrefix(text, header) || bytes.Contains(text, magic) {
		l.fault(0, len(text), "it is no signature")
		return
	}
	l.fact("form", "not signify's")
}

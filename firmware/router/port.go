package router

import (
	"context"
	"log/slog"
	"time"

	"leasehold/firmware/config"
	"leasehold/firmware/link"
)

// prepare makes the WAN port what it is to be: there, if it is a VLAN of
// something that is; with the MAC address that the provider knows; and up.
func (w *wan) prepare() error {
	device := w.cfg.Device
	w.was = w.os.present(device)
	if w.was.Parent != 0 {
		if err := w.os.addVLAN(device); err != nil {
			return err
		}
		w.was = w.os.present(device)
	}
	if w.cfg.MAC != [6]byte{} {
		if err := w.clone(); err != nil {
			return err
		}
	}
	return w.os.up(device)
}

// A disguise is a port that has another one's MAC address.
type disguise struct {
	device  string
	own, as [6]byte // own zero: not known
}

// clone gives the port the MAC address that the provider knows, and remembers its
// own: what it had, or, where a router that was killed has done the same, what its
// driver has found in it.
func (w *wan) clone() error {
	d, device := w.disguise, w.cfg.Device
	had, err := w.os.cloneMAC(device, w.cfg.MAC)
	if err != nil {
		return err
	}
	if d.device != device || had != d.as { // a modem that was plugged in again has its own
		d.device, d.own = device, had
	}
	if d.as = w.cfg.MAC; d.own == d.as {
		if d.own, err = w.os.permanentMAC(device); err != nil {
			w.log.Warn("own MAC address not known", "device", device, "err", err)
		}
	}
	return nil
}

// unmask gives a port its own MAC address back, unless it is to have another one's
// next as well.
func (r *router) unmask(next config.WAN) {
	d := r.disguise
	if next.Enabled && next.Device == d.device && next.MAC != [6]byte{} {
		return
	}
	r.disguise = disguise{}
	if d.own == [6]byte{} || d.own == d.as {
		return
	}
	if _, err := r.os.cloneMAC(d.device, d.own); err != nil {
		r.log.Error("MAC address not restored", "device", d.device, "err", err)
	}
}

// prioritize has DHCP leave with the priority that the provider asks for, and
// all else with that in its tags. Without it there may be no answer, or there
// may; so it is worth a try.
func (w *wan) prioritize() {
	if w.was.Parent != 0 {
		for _, t := range w.cfg.VLANTags() {
			w.check(w.os.mapPriority(w.cfg.Device, t.Priority, t.PCP))
		}
	}
	if w.cfg.Priority != 0 {
		w.check(w.conn.SetPriority(w.cfg.Priority))
	}
}

// restAfterDown is how soon a port that somebody has set down is set up again.
const restAfterDown = time.Second

// wasDown begins anew with a port that was set down, or has gone: no failure of
// ours, after which we would wait for longer each time.
func (w *wan) wasDown(ctx context.Context) error {
	w.log.Warn("port is down", "device", w.cfg.Device)
	sleep(ctx, restAfterDown)
	return errRestart
}

// pause waits after a failure. A port that comes, or comes back, ends it.
func (w *wan) pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	w.os.await(ctx, w.log, w.cfg.Device, w.was)
}

// await waits until a port comes, or comes back, or ctx ends.
func (os platform) await(ctx context.Context, log *slog.Logger, device string, was link.Presence) {
	err := contain(func() error { return os.awaitPort(ctx, device, was) })
	if err != nil {
		log.Error("port not awaited", "device", device, "err", err)
		<-ctx.Done()
	}
}

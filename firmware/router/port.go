package router

import (
	"context"
	"log/slog"
	"time"

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
		if err := w.os.cloneMAC(device, w.cfg.MAC); err != nil {
			return err
		}
	}
	return w.os.up(device)
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

package link

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Whatever another program takes of ours, or puts in its place, is seen; what is
// none of ours is no loss.
func TestUplinkThatOthersTouch(t *testing.T) {
	if !alone(t) {
		return
	}
	wired(t)
	ip(t, "addr add 10.0.0.1/24 dev isp")
	ctx, cancel := context.WithCancel(t.Context())
	lost, end := make(chan struct{}, 100), make(chan error, 1)
	go func() { end <- WatchUplink(ctx, "wan", func() { lost <- struct{}{} }) }()
	u := uplink("192.0.2.7/24", "192.0.2.1", 0)
	u.Routes = append(u.Routes, via("10.20.0.0/16 192.0.2.1"))
	u.Valid = time.Hour
	<-lost // it listens
	for _, tc := range []struct {
		args string
		has  bool
	}{
		{"addr flush dev wan", false},
		{"addr del 192.0.2.7/24 dev wan", false},
		{"route del default dev wan", false},
		{"route del 192.0.2.0/24 dev wan", false},
		{"route replace 10.20.0.0/16 via 192.0.2.9 dev wan", false},
		{"route replace 10.20.0.0/16 via 10.0.0.9 dev isp", false},
		{"route flush dev wan", false},
		{"addr add 192.0.2.9/32 dev wan", true},
		{"addr del 192.0.2.9/32 dev wan", true},
	} {
		set(t, u)
		if has, err := HasUplink("wan", u); !has || err != nil {
			t.Errorf("before ip %s: HasUplink = %v, %v", tc.args, has, err)
		}
		for len(lost) > 0 {
			<-lost
		}
		ip(t, tc.args)
		if has, err := HasUplink("wan", u); has != tc.has || err != nil {
			t.Errorf("after ip %s: HasUplink = %v, %v; want %v", tc.args, has, err, tc.has)
		}
		if tc.has {
			continue
		}
		select {
		case <-lost:
		case <-time.After(5 * time.Second):
			t.Errorf("nothing is heard of ip %s", tc.args)
		}
	}
	cancel()
	if err := <-end; !errors.Is(err, context.Canceled) {
		t.Errorf("WatchUplink = %v; want context.Canceled", err)
	}
}

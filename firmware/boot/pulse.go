package boot

import (
	"context"
	"io"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	// pulseEvery is how often the router says that it lives.
	pulseEvery = 5 * time.Second
	// silence is how long a loop may say nothing. Once in a while one waits for
	// flash, or a minute before it begins anew.
	silence = 90 * time.Second
	// pulseEnv names the file descriptor that the pulse goes to.
	pulseEnv = "LEASEHOLD_PULSE"
)

// A Pulse tells init that the loops of the router live. It is felt while each
// loop that has begun was heard of in the last 90 seconds.
type Pulse struct {
	mu    sync.Mutex
	heard map[string]time.Time
}

// Beat says that a loop lives.
func (p *Pulse) Beat(loop string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.heard == nil {
		p.heard = map[string]time.Time{}
	}
	p.heard[loop] = time.Now()
}

// Rest says that a loop was ended on purpose.
func (p *Pulse) Rest(loop string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.heard, loop)
}

// felt reports whether all loops live.
func (p *Pulse) felt(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range p.heard {
		if now.Sub(at) > silence {
			return false
		}
	}
	return true
}

// Run hands the pulse to init until ctx ends. Where there is no init it returns
// at once.
func (p *Pulse) Run(ctx context.Context) {
	fd, err := strconv.Atoi(os.Getenv(pulseEnv))
	if err != nil {
		return
	}
	os.Unsetenv(pulseEnv)
	w := os.NewFile(uintptr(fd), "pulse")
	defer w.Close()
	p.run(ctx, w)
}

func (p *Pulse) run(ctx context.Context, w io.Writer) {
	t := time.NewTicker(pulseEvery)
	defer t.Stop()
	for {
		if p.felt(time.Now()) {
			w.Write([]byte{'.'})
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

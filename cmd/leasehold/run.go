package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"leasehold/firmware/boot"
	"leasehold/firmware/config"
	"leasehold/firmware/router"
)

func serve(ctx context.Context, path string, verbose bool, hup <-chan os.Signal, stderr io.Writer) error {
	backlog := newBacklog(stderr)
	defer backlog.close()
	log := newLog(backlog, verbose, time.Now())
	reload := make(chan struct{})
	go func() {
		for {
			select {
			case <-hup:
			case <-ctx.Done():
				return
			}
			select {
			case reload <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	pulse := &boot.Pulse{}
	go pulse.Run(ctx)
	log.Info("leasehold starts", "version", version, "config", path)
	err := router.Run(ctx, router.Options{
		Version:   version,
		Log:       log,
		Load:      func() (config.Config, []config.Problem) { return load(path) },
		Reload:    reload,
		Pulse:     pulse,
		LastWords: boot.LastWords(),
	})
	log.Info("leasehold ends")
	return err
}

// load reads the configuration. A file that is not there is not a mistake, and
// one that cannot be read leaves a router that works.
func load(path string) (config.Config, []config.Problem) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return boot.FitHere(config.Default()), []config.Problem{{File: path, Text: "not there; the defaults are in force", Warning: true}}
	}
	if err != nil {
		return boot.FitHere(config.Default()), []config.Problem{{File: path, Text: err.Error() + "; the defaults are in force"}}
	}
	return understand(path, text, config.EthersFile)
}

// understand makes a configuration of the file's text, of the hosts in ethers if
// it asks for them, and of the board that this is.
func understand(path string, text []byte, ethers string) (config.Config, []config.Problem) {
	cfg, problems := config.Parse(path, text)
	if cfg.ReadEthers {
		problems = append(problems, readEthers(&cfg, ethers)...)
	}
	return boot.FitHere(cfg), problems
}

// readEthers adds the hosts of a file. OpenWrt's first configuration asks for
// it, so it need not be there.
func readEthers(cfg *config.Config, path string) []config.Problem {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return []config.Problem{{File: path, Text: err.Error()}}
	}
	return cfg.AddEthers(path, text)
}

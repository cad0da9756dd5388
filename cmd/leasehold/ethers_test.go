package main

import (
	"os"
	"strings"
	"testing"

	"leasehold/firmware/config"
)

func TestReadEthers(t *testing.T) {
	cfg := config.Default()
	if problems := readEthers(&cfg, t.TempDir()+"/none"); problems != nil {
		t.Errorf("a file that is not there is a problem: %v", problems)
	}
	path := t.TempDir() + "/ethers"
	if err := os.WriteFile(path, []byte("02:00:00:00:00:01 192.168.1.20\n02:00:00:00:00:01 192.168.1.21\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	problems := readEthers(&cfg, path)
	if len(problems) != 1 || !strings.HasPrefix(problems[0].String(), path+":2: ") || len(cfg.Hosts) != 1 {
		t.Errorf("hosts %+v, problems %v", cfg.Hosts, problems)
	}
	if problems := readEthers(&cfg, t.TempDir()); len(problems) != 1 {
		t.Errorf("a directory is read as %v", problems)
	}
}

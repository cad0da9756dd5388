package boot

import (
	"testing"

	"leasehold/firmware/image"
)

// TestPackerAndBootAgree: on where things are in an image.
func TestPackerAndBootAgree(t *testing.T) {
	if boardFile != image.BoardFile || modulesFile != image.ModulesList {
		t.Errorf("boot reads %s and %s; the packer writes %s and %s", boardFile, modulesFile, image.BoardFile, image.ModulesList)
	}
}

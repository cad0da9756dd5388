package boards

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

func TestBoardsAreText(t *testing.T) {
	names := Names()
	if len(names) == 0 || !slices.IsSorted(names) {
		t.Errorf("Names = %v; want some, sorted", names)
	}
	for _, name := range names {
		text, err := Text(name)
		if err != nil || !strings.Contains(string(text), "option name '"+name+"'") {
			t.Errorf("Text(%s) = %.60q, %v", name, text, err)
		}
	}
	for _, name := range []string{"", "boards.go", "../go.mod", "nobodys_board"} {
		if text, err := Text(name); err == nil || !strings.Contains(err.Error(), names[0]) {
			t.Errorf("Text(%s) = %.60q, %v; want an error that says what there is", name, text, err)
		}
	}
}

// Boards are data for the device, the packer and the lab alike.
func TestBoardsImportNothingOfOurs(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "boards.go", nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range f.Imports {
		if strings.Contains(s.Path.Value, "leasehold") || strings.Contains(s.Path.Value, ".") {
			t.Errorf("boards imports %s", s.Path.Value)
		}
	}
}

package payments_test

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoMoneyIsAFloat(t *testing.T) {
	read := 0
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		read++
		files := token.NewFileSet()
		var words scanner.Scanner
		words.Init(files.AddFile(path, -1, len(text)), text, nil, 0)
		for at, kind, word := words.Scan(); kind != token.EOF; at, kind, word = words.Scan() {
			if kind == token.FLOAT || strings.HasPrefix(word, "float") || word == "ParseFloat" {
				t.Errorf("%s: %s", files.Position(at), word)
			}
		}
		return nil
	}))
	require.Greater(t, read, 50)
}

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

// TestSignaturesAreComparedInConstantTime reads every file that computes a signature: it compares by a function that takes
// the same time for each answer, and no digest meets == or EqualFold.
func TestSignaturesAreComparedInConstantTime(t *testing.T) {
	files, err := filepath.Glob("*/*.go")
	require.NoError(t, err)
	read := 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		source := string(text)
		if strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(path), "test") ||
			!strings.Contains(source, `"crypto/hmac"`) && !strings.Contains(source, `"crypto/md5"`) {
			continue
		}
		read++
		require.True(t, strings.Contains(source, "hmac.Equal(") || strings.Contains(source, "subtle.ConstantTimeCompare("), path)
		for _, careless := range []string{"bytes.Equal(", "bytes.Compare(", "EqualFold(sum", "EqualFold(sign", "== sum", "sum ==", "== want", "want ==", "== sign", "EncodeToString(sum[:]) =="} {
			require.NotContains(t, source, careless, path)
		}
	}
	require.GreaterOrEqual(t, read, 5, "as many acquirers as sign")
}

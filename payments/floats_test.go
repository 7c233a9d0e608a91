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

// inexact are the files where something else than money is a fraction.
var inexact = map[string]string{
	"crm/bitrix24/answer.go":    "seconds of execution time",
	"oauth/exchange.go":         "seconds that a token lives",
	"tasks/limiter_limits.go":   "requests that leak out of a bucket",
	"widgets/widgets.go":        "shares of a limit",
	"widgets/health.go":         "shares of a limit",
	"widgets/api/types.gen.go":  "shares of a limit",
	"widgets/paypage/colour.go": "light of a colour",
	"widgets/archive/image.go":  "places in a picture",
	"widgets/sheet/xlsx.go":     "a spreadsheet knows no other numbers; its cell shows what the decimal says",
}

// TestNoMoneyIsAFloat reads every file on the way of money.
func TestNoMoneyIsAFloat(t *testing.T) {
	read := 0
	for _, floor := range []string{"payments", "crm", "tasks", "tenants", "oauth", "widgets"} {
		require.NoError(t, filepath.WalkDir(filepath.Join("..", floor), func(path string, _ fs.DirEntry, err error) error {
			name := strings.TrimPrefix(filepath.ToSlash(path), "../")
			standIn := floor != "payments" && strings.HasSuffix(filepath.Dir(path), "test") // it speaks as the CRM does, which sends such numbers
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || standIn || inexact[name] != "" {
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
	}
	require.Greater(t, read, 200)
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

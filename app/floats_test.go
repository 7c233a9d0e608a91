package main

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

// floats are the files, and folders (with a slash at the end), that may use floating-point numbers, and what those are.
var floats = map[string]string{
	"app/demo/bench/":            "figures of the benchmark",
	"app/house.go":               "shares of a limiter's room, as the CRM page shows them",
	"app/middleware.go":          "seconds of the metrics",
	"crm/amo/amotest/":           "the double reads and writes prices as amoCRM's JSON has them, decimal numbers",
	"crm/bitrix24/answer.go":     "seconds that the portal was busy",
	"crm/bitrix24/bitrix24test/": "the double compares and types values of fields as a portal does, and has leaky buckets",
	"oauth/exchange.go":          "seconds until a token dies",
	"tasks/limiter_limits.go":    "requests in a leaky bucket",
	"tenants/standintest/":       "seconds of the doubles' clock and rates of requests",
	"widgets/api/types.gen.go":   "shares of the limiter's room, made from the API's document",
	"widgets/archive/image.go":   "points of a drawing",
	"widgets/health.go":          "shares of the limiter's room",
	"widgets/paypage/colour.go":  "contrast of colours",
	"widgets/sheet/xlsx.go":      "a spreadsheet's own numbers are floats; a test shows that amounts read back exact",
	"widgets/widgets.go":         "shares of the limiter's room",
}

func TestNoMoneyIsAFloat(t *testing.T) {
	read, used := 0, map[string]bool{}
	allowed := func(path string) bool {
		for place := range floats {
			if path == place || strings.HasSuffix(place, "/") && strings.HasPrefix(path, place) {
				used[place] = true
				return true
			}
		}
		return false
	}
	for name := range floors {
		require.NoError(t, filepath.WalkDir(filepath.Join("..", name), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			read++
			path = strings.TrimPrefix(filepath.ToSlash(path), "../")
			files := token.NewFileSet()
			var words scanner.Scanner
			words.Init(files.AddFile(path, -1, len(text)), text, nil, 0)
			for at, kind, word := words.Scan(); kind != token.EOF; at, kind, word = words.Scan() {
				if (kind == token.FLOAT || strings.HasPrefix(word, "float") || word == "ParseFloat") && !allowed(path) {
					t.Errorf("%s: %s", files.Position(at), word)
				}
			}
			return nil
		}))
	}
	require.Greater(t, read, 250)
	for place := range floats {
		require.True(t, used[place], "%s uses none any more", place)
	}
}

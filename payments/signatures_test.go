package payments_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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

package frontend

import (
	"errors"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPagesHoldTheirSlotAndNameOnlyFilesThatAreThere(t *testing.T) {
	for _, name := range []string{"card", "settings"} {
		page, err := Page(name, "hy")
		if errors.Is(err, ErrNotBuilt) {
			t.Skip("the front end is not built: npm run build")
		}
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(page), Slot), name)
		require.NotRegexp(t, `<script(?:[^>]*)>[^<]`, string(page), "nothing inline in %s", name)
		require.Regexp(t, `<link rel="modulepreload" href="/assets/(settings-)?hy-[^".]+\.js">`, string(page), name)
		files := regexp.MustCompile(`(?:src|href)="/assets/([^"]+)"`).FindAllStringSubmatch(string(page), -1)
		require.NotEmpty(t, files, name)
		for _, file := range files {
			_, err := fs.Stat(Assets(), file[1])
			require.NoError(t, err, name)
		}
	}
}

func TestALanguageThatIsNotThereIsNotNamed(t *testing.T) {
	for _, lang := range []string{"", "xx", `"><script>`} {
		page, err := Page("card", lang)
		if errors.Is(err, ErrNotBuilt) {
			t.Skip("the front end is not built: npm run build")
		}
		require.NoError(t, err)
		require.NotContains(t, string(page), "modulepreload", lang)
	}
}

func TestAPageThatIsNotThereIsNotBuilt(t *testing.T) {
	_, err := Page("nonsense", "en")
	require.ErrorIs(t, err, ErrNotBuilt)
}

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
		page, err := Page(name)
		if errors.Is(err, ErrNotBuilt) {
			t.Skip("the front end is not built: npm run build")
		}
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(page), Slot), name)
		require.NotRegexp(t, `<script(?:[^>]*)>[^<]`, string(page), "nothing inline in %s", name)
		files := regexp.MustCompile(`(?:src|href)="/assets/([^"]+)"`).FindAllStringSubmatch(string(page), -1)
		require.NotEmpty(t, files, name)
		for _, file := range files {
			_, err := fs.Stat(Assets(), file[1])
			require.NoError(t, err, name)
		}
	}
}

func TestAPageThatIsNotThereIsNotBuilt(t *testing.T) {
	_, err := Page("nonsense")
	require.ErrorIs(t, err, ErrNotBuilt)
}

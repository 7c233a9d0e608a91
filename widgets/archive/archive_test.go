package archive_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"image/png"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm/amo/amotest"
	amosource "github.com/dealpay/dealpay/frontend/amo"
	"github.com/dealpay/dealpay/widgets/archive"
)

const app = "https://pay.example.com"

var products = map[string]archive.Product{"amocrm": archive.AmoCRM, "kommo": archive.Kommo}

func build(t *testing.T, p archive.Product) ([]byte, map[string][]byte) {
	t.Helper()
	content, err := archive.Build(p, app, "1.2.3")
	require.NoError(t, err)
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err)
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		require.NoError(t, err)
		files[f.Name], err = io.ReadAll(r)
		require.NoError(t, err)
	}
	return content, files
}

func TestTheSameInputGivesTheSameArchive(t *testing.T) {
	for name, p := range products {
		first, _ := build(t, p)
		again, _ := build(t, p)
		require.True(t, bytes.Equal(first, again), name)
	}
}

func TestModerationWouldTakeTheArchive(t *testing.T) {
	for name, double := range map[string]amotest.Variant{"amocrm": amotest.AmoCRM, "kommo": amotest.Kommo} {
		content, _ := build(t, products[name])
		opened, err := amotest.OpenArchive(double, content)
		require.NoError(t, err)
		require.Equal(t, "1.2.3", opened.Manifest.Widget.Version)
		require.Contains(t, opened.Manifest.Locations, "lcard-1")
		require.Contains(t, opened.Manifest.Locations, "advanced_settings")
	}
}

func TestTheArchiveHasWhatIsDocumented(t *testing.T) {
	sizes := map[string][2]int{"logo_main": {400, 272}, "logo_small": {108, 108}, "logo": {130, 100}, "logo_medium": {240, 84},
		"logo_min": {84, 84}, "logo_dp": {174, 109}}
	for name, p := range products {
		_, files := build(t, p)
		for image, size := range sizes {
			content := files["images/"+image+".png"]
			require.LessOrEqual(t, len(content), 300<<10)
			config, err := png.DecodeConfig(bytes.NewReader(content))
			require.NoError(t, err, image)
			require.Equal(t, size, [2]int{config.Width, config.Height}, image)
		}
		var manifest map[string]any
		require.NoError(t, json.Unmarshal(files["manifest.json"], &manifest))
		widget := manifest["widget"].(map[string]any)
		for _, key := range []string{"name", "description", "short_description", "interface_version", "locale", "installation", "support"} {
			require.NotEmpty(t, widget[key], "%s: widget.%s", name, key)
		}
		require.Equal(t, true, manifest["tour"].(map[string]any)["is_tour"])
		script := string(files["script.js"])
		require.Contains(t, script, `var APP_URL = "https://pay.example.com"`)
		require.Contains(t, script, `var PRODUCT = "`+name+`"`)
		require.NotContains(t, script, "'*'", "messages name their origin")
		require.NotContains(t, files, "i18n/hy.json", "neither product has an Armenian interface")
	}
}

func TestEveryLanguageSaysEverything(t *testing.T) {
	names, err := fs.Glob(amosource.Files, "i18n/*.json")
	require.NoError(t, err)
	require.Len(t, names, 5)
	script, err := amosource.Files.ReadFile("script.js")
	require.NoError(t, err)
	var want []string
	for _, name := range names {
		raw, err := amosource.Files.ReadFile(name)
		require.NoError(t, err)
		var words map[string]map[string]string
		require.NoError(t, json.Unmarshal(raw, &words))
		var keys []string
		for section, texts := range words {
			for key, text := range texts {
				require.NotEmpty(t, strings.TrimSpace(text), key)
				require.NotContains(t, text, "!")
				keys = append(keys, section+"."+key)
			}
		}
		slices.Sort(keys)
		if want == nil {
			want = keys
		}
		require.Equal(t, want, keys, name)
	}
	for _, reason := range []string{"not_connected", "token", "rights", "busy", "network", "server"} {
		require.Contains(t, string(script), "'"+reason+"'")
		for _, part := range []string{"_what", "_why", "_todo"} {
			require.Contains(t, want, "dealpay."+reason+part)
		}
	}
}

func TestAnArchiveThatCannotWorkIsNotBuilt(t *testing.T) {
	for _, c := range []struct {
		product      archive.Product
		app, version string
	}{
		{archive.AmoCRM, "http://pay.example.com", "1.0.0"},
		{archive.AmoCRM, "pay.example.com", "1.0.0"},
		{archive.AmoCRM, "https://user:secret@pay.example.com", "1.0.0"},
		{archive.AmoCRM, "https://pay.example.com/?x=1", "1.0.0"},
		{archive.AmoCRM, "javascript:alert(1)", "1.0.0"},
		{archive.AmoCRM, app, ""},
		{archive.AmoCRM, app, "v1"},
		{archive.Product{Name: "other", Locales: []string{"en"}}, app, "1.0.0"},
		{archive.Product{Name: "kommo"}, app, "1.0.0"},
		{archive.Product{Name: "kommo", Locales: []string{"xx"}}, app, "1.0.0"},
	} {
		_, err := archive.Build(c.product, c.app, c.version)
		require.Error(t, err, "%+v", c)
	}
	_, err := archive.Build(archive.Kommo, "http://app.localhost:8080/", "1")
	require.NoError(t, err, "the demo's own machine needs no TLS")
}

// The script runs in a real JavaScript engine, between a CRM page and a frame that are both played by script_test.js.
func TestTheScriptTalksToTheFrame(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node on this machine; the browser tests cover the same")
	}
	_, files := build(t, archive.Kommo)
	dir := t.TempDir()
	for name, content := range map[string][]byte{"script.js": files["script.js"], "en.json": files["i18n/en.json"]} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	here, err := filepath.Abs("testdata/script_test.js")
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), node, here, dir)
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

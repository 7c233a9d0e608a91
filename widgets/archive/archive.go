// Package archive builds the widget archive that is uploaded to the amoCRM and
// Kommo marketplaces (amocrm.ru "Widget structure"; developers.kommo.com
// "Structure of a widget"). The same input gives the same bytes, so that an
// archive can be compared with the one under review.
package archive

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	amosource "github.com/dealpay/dealpay/frontend/amo"
)

// Product is the marketplace an archive is for.
type Product struct {
	Name    string   // "amocrm" or "kommo"; also the first segment of our routes for it
	Locales []string // languages of the interface that the archive speaks, the first one first in the listing
}

// The products, with the languages both the product and we speak.
var (
	AmoCRM = Product{Name: "amocrm", Locales: []string{"ru", "en", "es", "pt"}}
	Kommo  = Product{Name: "kommo", Locales: []string{"en", "es", "pt"}}
)

// Limits of the marketplaces (Kommo "Images").
const maxImage = 300 << 10

var versions = regexp.MustCompile(`^[0-9]{1,5}(\.[0-9]{1,5}){0,3}$`)

// built is the time of every file in an archive; zip cannot tell earlier ones.
var built = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Build returns the zip of the widget for an application at appURL ("https://pay.example.com"). version has the form
// "1.2.3" and must grow with every upload, because browsers cache by it.
func Build(p Product, appURL, version string) ([]byte, error) {
	base, err := checked(p, appURL, version)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, step := range []func() error{
		func() error { return addManifest(files, p, base, version) },
		func() error { return addScript(files, p, base) },
		func() error { return addWords(files, p) },
		func() error { return addImages(files) },
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("build the %s archive: %w", p.Name, err)
		}
	}
	return pack(files)
}

// checked refuses what would make an archive that cannot work, and returns the address without a trailing slash.
func checked(p Product, appURL, version string) (string, error) {
	u, err := url.Parse(appURL)
	local := err == nil && (u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost") || u.Hostname() == "127.0.0.1")
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("archive: %q is not the address of an application", appURL)
	case u.Scheme != "https" && (u.Scheme != "http" || !local):
		return "", fmt.Errorf("archive: %q must be https, because the CRM's pages are", appURL)
	case !versions.MatchString(version):
		return "", fmt.Errorf("archive: %q is not a version like 1.2.3", version)
	case p.Name != AmoCRM.Name && p.Name != Kommo.Name:
		return "", fmt.Errorf("archive: there is no product %q", p.Name)
	case len(p.Locales) == 0:
		return "", errors.New("archive: a listing needs a language")
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// addManifest fills in what depends on product, version and application.
func addManifest(files map[string][]byte, p Product, base, version string) error {
	raw, err := amosource.Files.ReadFile("manifest.json")
	if err != nil {
		return err
	}
	var manifest struct {
		Widget    map[string]any `json:"widget"`
		Locations []string       `json:"locations"`
		Tour      map[string]any `json:"tour"`
		Settings  map[string]any `json:"settings"`
		Advanced  map[string]any `json:"advanced"`
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return err
	}
	manifest.Widget["version"] = version
	manifest.Widget["locale"] = p.Locales
	manifest.Widget["support"] = map[string]string{"link": base}
	pictures := map[string][]string{}
	for _, lang := range p.Locales {
		pictures[lang] = []string{"/images/tour_1.png"}
	}
	manifest.Tour["tour_images"] = pictures
	files["manifest.json"], err = json.MarshalIndent(manifest, "", "  ")
	return err
}

// addScript writes the addresses into the script as JSON strings, which are JavaScript strings as well.
func addScript(files map[string][]byte, p Product, base string) error {
	raw, err := amosource.Files.ReadFile("script.js")
	if err != nil {
		return err
	}
	script := string(raw)
	for place, text := range map[string]string{"__APP_URL__": base, "__PRODUCT__": p.Name} {
		quoted, err := json.Marshal(text)
		if err != nil {
			return err
		}
		if strings.Count(script, place) != 1 {
			return fmt.Errorf("script.js names %s not once", place)
		}
		script = strings.Replace(script, place, string(quoted), 1)
	}
	files["script.js"] = []byte(script)
	files["style.css"], err = amosource.Files.ReadFile("style.css")
	return err
}

// addWords takes the languages of the listing and no other.
func addWords(files map[string][]byte, p Product) error {
	for _, lang := range p.Locales {
		name := "i18n/" + lang + ".json"
		words, err := amosource.Files.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("no words in %q", lang)
		}
		if err != nil {
			return err
		}
		files[name] = words
	}
	return nil
}

// drawn are the images by path. They are the same in every archive, so they are drawn once.
var drawn = sync.OnceValues(func() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, i := range images {
		content, err := i.png()
		if err != nil {
			return nil, err
		}
		if len(content) > maxImage {
			return nil, fmt.Errorf("%s is too large", i.name)
		}
		files["images/"+i.name+".png"] = content
	}
	return files, nil
})

func addImages(files map[string][]byte) error {
	pictures, err := drawn()
	maps.Copy(files, pictures)
	return err
}

// pack writes files in the order of their names, all of one time.
func pack(files map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: built})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

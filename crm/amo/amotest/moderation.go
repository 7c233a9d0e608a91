package amotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	_ "image/gif" // formats that amoCRM accepts
	_ "image/jpeg"
	_ "image/png"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

const imageLimit = 300 << 10

// images that an archive must have, with their sizes in pixels.
var images = []struct {
	name          string
	width, height int
	when          func(*Archive) bool
}{
	{"logo_main", 400, 272, always},
	{"logo_small", 108, 108, always},
	{"logo", 130, 100, always},
	{"logo_medium", 240, 84, (*Archive).inCards},
	{"logo_min", 84, 84, (*Archive).inCards},
	{"logo_dp", 174, 109, func(a *Archive) bool { return a.located("digital_pipeline") }},
}

// locations that both products know; cards and lists take the suffixes -0 and -1.
var locations = []string{"lcard", "ccard", "comcard", "llist", "clist", "tlist", "settings", "advanced_settings", "card_sdk",
	"catalogs", "digital_pipeline", "lead_sources", "salesbot_designer", "sms", "mobile_card", "everywhere"}

func always(*Archive) bool { return true }

func (a *Archive) located(name string) bool { return slices.Contains(a.Manifest.Locations, name) }

func (a *Archive) inCards() bool {
	return slices.ContainsFunc(a.Manifest.Locations, func(l string) bool { return strings.HasSuffix(l, "card-1") })
}

// check lists everything that moderation would refuse.
func (a *Archive) check(v Variant) []error {
	var bad []error
	complain := func(ok bool, format string, args ...any) {
		if !ok {
			bad = append(bad, fmt.Errorf(format, args...))
		}
	}
	for name, content := range a.Files {
		if ext := path.Ext(name); ext == ".json" || ext == ".js" || ext == ".css" || ext == ".twig" {
			complain(utf8.Valid(content) && !bytes.HasPrefix(content, []byte("\xef\xbb\xbf")), "%s is not UTF-8 without BOM", name)
		}
	}
	script := a.Files["script.js"]
	complain(script != nil, "script.js is missing from the archive's root")
	complain(script == nil || bytes.Contains(script, []byte("define(")), "script.js has no define(…) call")
	a.checkWidget(v, complain)
	a.checkPlaces(v, complain)
	a.checkImages(v, complain)
	return bad
}

type complaint func(ok bool, format string, args ...any)

func (a *Archive) checkWidget(v Variant, complain complaint) {
	w := a.Manifest.Widget
	complain(w.Name != "" && w.Description != "" && w.ShortDescription != "", "widget.name, description and short_description are needed")
	complain(w.InterfaceVersion == 2, "widget.interface_version must be 2")
	complain(w.Installation != nil, "widget.installation is needed")
	complain(w.Support.Link != "" || w.Support.Email != "", "widget.support needs a link or an e-mail")
	complain(len(w.Locale) > 0, "widget.locale is needed")
	for _, lang := range w.Locale {
		complain(slices.Contains(v.Locales, lang), "%s has no language %q", v.Title, lang)
		texts := map[string]any{}
		err := json.Unmarshal(a.Files["i18n/"+lang+".json"], &texts)
		complain(err == nil, "i18n/%s.json is missing or cannot be read", lang)
		a.Texts[lang] = texts
		for _, key := range a.keys() {
			text, ok := lookup(texts, key).(string)
			complain(ok && text != "", "i18n/%s.json has no text %s", lang, key)
		}
	}
	for name := range a.Files {
		lang, ok := strings.CutPrefix(name, "i18n/")
		complain(!ok || slices.Contains(w.Locale, strings.TrimSuffix(lang, ".json")), "%s is not in widget.locale", name)
	}
	tour := a.Manifest.Tour
	complain(tour.IsTour && tour.Description != "", "tour.is_tour must be true, with a tour_description")
	for _, lang := range w.Locale {
		complain(len(tour.Images[lang]) > 0, "tour.tour_images has no pictures for %q", lang)
		for _, name := range tour.Images[lang] {
			complain(a.Files[strings.TrimPrefix(name, "/")] != nil, "tour picture %s is missing", name)
		}
	}
}

// keys are the i18n paths that the manifest names.
func (a *Archive) keys() []string {
	m := a.Manifest
	keys := []string{m.Widget.Name, m.Widget.Description, m.Widget.ShortDescription, m.Tour.Description}
	for _, group := range []map[string]Setting{m.Settings, m.DP.Settings} {
		for _, s := range group {
			keys = append(keys, s.Name)
		}
	}
	if m.Advanced.Title != "" {
		keys = append(keys, m.Advanced.Title)
	}
	return keys
}

func lookup(texts map[string]any, key string) any {
	var at any = texts
	for part := range strings.SplitSeq(key, ".") {
		m, _ := at.(map[string]any)
		at = m[part]
	}
	return at
}

func (a *Archive) checkPlaces(v Variant, complain complaint) {
	m := a.Manifest
	complain(len(m.Locations) > 0, "locations are needed")
	for _, l := range m.Locations {
		name := strings.TrimSuffix(strings.TrimSuffix(l, "-0"), "-1")
		sided := strings.HasSuffix(name, "card") || strings.HasSuffix(name, "list")
		complain(slices.Contains(append(locations, v.Locations...), name) && (l == name || sided), "%s has no location %q", v.Title, l)
	}
	installs := m.Widget.Installation != nil && *m.Widget.Installation
	complain(!installs || a.located("settings") && len(m.Settings) > 0, "widget.installation needs the location settings and a settings block")
	for name, s := range m.Settings {
		complain(slices.Contains([]string{"text", "pass", "users", "users_lp", "custom"}, s.Type), "settings.%s has an unknown type %q", name, s.Type)
	}
	if a.located("digital_pipeline") {
		complain(m.DP.ActionMultiple != nil && m.DP.Settings != nil, "digital_pipeline needs dp.settings and dp.action_multiple")
		u, err := url.Parse(m.DP.WebhookURL)
		complain(m.DP.WebhookURL == "" || err == nil && u.Host != "", "dp.webhook_url is no URL")
	}
	complain(!a.located("advanced_settings") || m.Advanced.Title != "", "advanced_settings needs advanced.title")
	complain(!a.located("salesbot_designer") || len(m.Salesbot) > 0, "salesbot_designer needs a block of its own")
	complain(!a.located("sms") || m.SMS.Endpoint != "", "sms needs sms.endpoint")
	complain(!a.located("mobile_card") || m.Mobile.FrameURL != "" && m.Mobile.Color != "", "mobile_card needs mobile.frame_url and color")
}

func (a *Archive) checkImages(v Variant, complain complaint) {
	for _, want := range images {
		if !want.when(a) {
			continue
		}
		content := a.Files["images/"+want.name+".png"]
		for _, ext := range []string{".jpg", ".jpeg", ".gif"} {
			if content == nil && v.Name == AmoCRM.Name {
				content = a.Files["images/"+want.name+ext]
			}
		}
		size, _, err := image.DecodeConfig(bytes.NewReader(content))
		complain(err == nil && size.Width == want.width && size.Height == want.height,
			"images/%s.png must be %d×%d", want.name, want.width, want.height)
	}
	for name, content := range a.Files {
		complain(!strings.HasPrefix(name, "images/") || len(content) <= imageLimit, "%s is larger than 300 KB", name)
	}
}

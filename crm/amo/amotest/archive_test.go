package amotest_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm/amo/amotest"
)

const tinyScript = `define(['jquery', 'lib/components/base/modal'], function ($, Modal) {
  return function () {
    var self = this;
    var globals = window.APP || window.AMOCRM;
    this.callbacks = {
      render: function () {
        var card = globals.data.current_card;
        if (!card) return false;
        self.render_template({caption: {class_name: 'tiny', html: self.i18n('widget').name}, body: '', render: '<p id="tiny">lead {{id}} of {{entity}}</p>'},
          {id: card.id, entity: globals.getBaseEntity()});
        return true;
      },
      init: function () {
        var s = self.system();
        $('#tiny').append($('<b>', {id: 'who', text: s.amouser_id + ' ' + s.area + ' ' + self.get_settings().widget_code + ' ' + typeof Modal}));
        self.$authorizedAjax({url: APP_URL + '/refused', type: 'POST'})
          .then(null, function () { return $.Deferred().reject('refused').promise(); })
          .then(null, function (why) { $('#tiny').append('<u>' + why + '</u>'); });
        self.$authorizedAjax({url: APP_URL + '/session', type: 'POST', contentType: 'application/json', data: '{"page":"card"}'})
          .then(null, function () { return $.Deferred().reject('failed').promise(); })
          .then(function (answer) { $('#tiny').append('<i id="answer">' + answer.session + '</i>'); }, function (why) { $('#tiny').append(why); });
        return true;
      },
      bind_actions: function () { return true; },
      settings: function ($body) { $('#dealpay_custom').val('{"v":1}').trigger('change'); $('#dealpay_custom_content').text('drawn by the widget'); },
      advancedSettings: function () { $('#work-area-dealpay').text('advanced'); },
      onSave: function () { return true; },
      destroy: function () {}
    };
    return this;
  };
});`

// tiny are the files of the smallest archive that moderation would pass.
func tiny(appURL string) map[string]any {
	text := map[string]any{"widget": map[string]any{"name": "Tiny", "description": "d", "short_description": "s", "tour": "t"},
		"settings": map[string]any{"c": "Connection"}, "advanced": map[string]any{"title": "Tiny settings"}}
	files := map[string]any{"script.js": "var APP_URL = '" + appURL + "';\n" + tinyScript, "i18n/en.json": text, "i18n/es.json": text,
		"manifest.json": map[string]any{
			"widget": map[string]any{"name": "widget.name", "description": "widget.description", "short_description": "widget.short_description",
				"version": "1.0.0", "interface_version": 2, "init_once": false, "locale": []string{"en", "es"}, "installation": true,
				"support": map[string]any{"link": "https://pay.example"}},
			"locations": []string{"lcard-1", "settings", "advanced_settings"},
			"tour": map[string]any{"is_tour": true, "tour_description": "widget.tour",
				"tour_images": map[string]any{"en": []string{"/images/tour.png"}, "es": []string{"/images/tour.png"}}},
			"settings": map[string]any{"connection": map[string]any{"name": "settings.c", "type": "custom", "required": true}},
			"advanced": map[string]any{"title": "advanced.title"}}}
	for name, size := range map[string]image.Point{"logo_main": {400, 272}, "logo_small": {108, 108}, "logo": {130, 100},
		"logo_medium": {240, 84}, "logo_min": {84, 84}, "tour": {10, 10}} {
		files["images/"+name+".png"] = size
	}
	return files
}

func pack(t *testing.T, files map[string]any) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, content := range files {
		w, err := z.Create(name)
		require.NoError(t, err)
		switch c := content.(type) {
		case string:
			_, err = w.Write([]byte(c))
		case image.Point:
			err = png.Encode(w, image.NewGray(image.Rectangle{Max: c}))
		default:
			err = json.NewEncoder(w).Encode(c)
		}
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return out.Bytes()
}

func TestArchiveThatModerationWouldPassIsOpened(t *testing.T) {
	for _, v := range []amotest.Variant{amotest.AmoCRM, amotest.Kommo} {
		a, err := amotest.OpenArchive(v, pack(t, tiny("https://pay.example")))
		require.NoError(t, err, v.Name)
		require.Equal(t, "Tiny", a.Texts["es"]["widget"].(map[string]any)["name"])
	}
}

func TestFaultyArchivesAreRefused(t *testing.T) {
	manifest := func(change func(m map[string]any)) func(map[string]any) {
		return func(files map[string]any) {
			m := files["manifest.json"].(map[string]any)
			change(m)
		}
	}
	for want, spoil := range map[string]func(map[string]any){
		"manifest.json is missing":   func(f map[string]any) { delete(f, "manifest.json") },
		"script.js is missing":       func(f map[string]any) { delete(f, "script.js") },
		"no define":                  func(f map[string]any) { f["script.js"] = "alert(1)" },
		"without BOM":                func(f map[string]any) { f["style.css"] = "\xef\xbb\xbfa{}" },
		"logo_min.png must be 84×84": func(f map[string]any) { f["images/logo_min.png"] = image.Pt(85, 84) },
		"i18n/es.json is missing":    func(f map[string]any) { delete(f, "i18n/es.json") },
		"not in widget.locale":       func(f map[string]any) { f["i18n/pt.json"] = f["i18n/en.json"] },
		"tour picture":               func(f map[string]any) { delete(f, "images/tour.png") },
		"no location": manifest(func(m map[string]any) {
			m["locations"] = []string{"lcard-1", "kitchen", "settings", "advanced_settings"}
		}),
		"needs advanced.title": manifest(func(m map[string]any) { delete(m, "advanced") }),
		"unknown type": manifest(func(m map[string]any) {
			m["settings"] = map[string]any{"x": map[string]any{"name": "settings.c", "type": "magic"}}
		}),
		"has no language \"hy\"":      manifest(func(m map[string]any) { m["widget"].(map[string]any)["locale"] = []string{"hy"} }),
		"interface_version must be 2": manifest(func(m map[string]any) { m["widget"].(map[string]any)["interface_version"] = 1 }),
		"needs dp.settings": manifest(func(m map[string]any) {
			m["locations"] = []string{"lcard-1", "settings", "advanced_settings", "digital_pipeline"}
		}),
	} {
		files := maps.Clone(tiny("https://pay.example"))
		spoil(files)
		_, err := amotest.OpenArchive(amotest.Kommo, pack(t, files))
		require.ErrorContains(t, err, want)
	}
}

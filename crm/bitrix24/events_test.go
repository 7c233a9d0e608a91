package bitrix24_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/bitrix24"
)

func posted(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/bitrix24/events", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func event(name string, change func(url.Values)) string {
	v := url.Values{"event": {name}, "ts": {"1736405807"}, "auth[member_id]": {"a223c6b3710f85df22e9377d6c4f7553"},
		"auth[application_token]": {"51856fefc120afa4b628cc82d3935cce"}, "data[FIELDS][ID]": {"759"}}
	if change != nil {
		change(v)
	}
	return v.Encode()
}

func TestEventsAreReadAndNotBelieved(t *testing.T) {
	for name, kind := range map[string]crm.EventKind{"ONCRMDEALUPDATE": crm.DealChanged, "onCrmDealUpdate": crm.DealChanged,
		"ONCRMDEALMOVETOCATEGORY": crm.DealChanged, "ONCRMDEALDELETE": crm.DealDeleted} {
		got, err := bitrix24.ParseEvent(posted(event(name, nil)))
		require.NoError(t, err)
		require.Equal(t, crm.Event{Kind: kind, AccountKey: "a223c6b3710f85df22e9377d6c4f7553",
			AppToken: "51856fefc120afa4b628cc82d3935cce", DealID: "759"}, got)
	}
	for clean, want := range map[string]bool{"1": true, "0": false, "": false} {
		got, err := bitrix24.ParseEvent(posted(event("ONAPPUNINSTALL", func(v url.Values) { v.Set("data[CLEAN]", clean) })))
		require.NoError(t, err)
		require.Equal(t, crm.Uninstalled, got.Kind)
		require.Equal(t, want, got.Clean)
		require.Empty(t, got.DealID)
	}
	got, err := bitrix24.ParseEvent(posted(event("ONAPPPAYMENT", func(v url.Values) { v.Del("auth[application_token]") })))
	require.NoError(t, err)
	require.Equal(t, crm.AppChanged, got.Kind)
	require.Empty(t, got.AppToken)
}

func TestWhatIsNoEventIsRefused(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":            "",
		"no form":            "%zz",
		"unknown":            event("ONTASKADD", nil),
		"no token":           event("ONCRMDEALUPDATE", func(v url.Values) { v.Del("auth[application_token]") }),
		"no token, leaving":  event("ONAPPUNINSTALL", func(v url.Values) { v.Del("auth[application_token]") }),
		"no member":          event("ONCRMDEALUPDATE", func(v url.Values) { v.Del("auth[member_id]") }),
		"no deal":            event("ONCRMDEALUPDATE", func(v url.Values) { v.Del("data[FIELDS][ID]") }),
		"a deal of the mind": event("ONCRMDEALUPDATE", func(v url.Values) { v.Set("data[FIELDS][ID]", "1 or 1=1") }),
		"too much":           event("ONCRMDEALUPDATE", func(v url.Values) { v.Set("x", strings.Repeat("x", 70<<10)) }),
	} {
		_, err := bitrix24.ParseEvent(posted(body))
		require.ErrorIs(t, err, bitrix24.ErrEvent, name)
	}
	_, err := bitrix24.ParseEvent(httptest.NewRequest(http.MethodGet, "/bitrix24/events", nil))
	require.ErrorIs(t, err, bitrix24.ErrEvent)
}

func TestLanguagesAreTags(t *testing.T) {
	for code, tag := range map[string]string{"en": "en", "RU": "ru", "la": "es", "br": "pt", "ua": "uk", "kz": "kk", "tc": "zh",
		"": "", "x": "", "../": "", "1a": ""} {
		require.Equal(t, tag, bitrix24.Language(code), code)
	}
}

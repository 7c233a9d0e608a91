package bitrix24test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/stretchr/testify/require"
)

// subscribed is a world with the app installed and subscribed to events at /hook.
func subscribed(t *testing.T, events ...string) *world {
	w := newWorld(t)
	require.NoError(t, w.portal.Install(t.Context(), w.app.Client()))
	token := w.admin()
	for _, e := range events {
		w.ok(token, "event.bind", map[string]any{"event": e, "handler": w.app.URL + "/hook"})
	}
	w.quiet()
	return w
}

func (w *world) events() (forms []url.Values) {
	w.quiet()
	for _, r := range w.received("/hook") {
		forms = append(forms, r.PostForm)
	}
	return forms
}

func TestDealEventsCarryTheDocumentedForm(t *testing.T) {
	w := subscribed(t, "ONCRMDEALUPDATE")
	documented, err := url.ParseQuery(string(fixture(t, "oncrmdealupdate.event.form")))
	require.NoError(t, err)
	require.NoError(t, w.portal.Edit("7", map[string]any{"TITLE": "Changed"}))
	events := w.events()
	require.Len(t, events, 1)
	for key := range documented {
		if key != "auth[refresh_token]" { // ordinary events normally carry none
			require.True(t, events[0].Has(key), key)
		}
	}
	require.Equal(t, "7", events[0].Get("data[FIELDS][ID]"))
	require.Equal(t, w.portal.AppToken(), events[0].Get("auth[application_token]"))
	require.Equal(t, w.portal.MemberID(), events[0].Get("auth[member_id]"))
	w.ok(events[0].Get("auth[access_token]"), "profile", nil)
}

func TestOurOwnWritesComeBackAndEmptyOnesDoNot(t *testing.T) {
	w := subscribed(t, "ONCRMDEALUPDATE", "ONCRMDEALADD", "ONCRMDEALDELETE", "ONCRMDEALMOVETOCATEGORY")
	token := w.admin()
	w.ok(token, "crm.item.update", map[string]any{"entityTypeId": 2, "id": 1, "fields": map[string]any{"title": "Ours"}})
	w.ok(token, "crm.item.update", map[string]any{"entityTypeId": 2, "id": 1, "fields": map[string]any{"title": "Ours"}})
	require.NoError(t, w.portal.Move("2", "C1:NEW"))
	w.ok(token, "crm.item.delete", map[string]any{"entityTypeId": 2, "id": 3})
	w.ok(token, "crm.item.add", map[string]any{"entityTypeId": 2, "fields": map[string]any{"title": "New"}})
	var names []string
	for _, e := range w.events() {
		names = append(names, e.Get("event")+" "+e.Get("data[FIELDS][ID]"))
	}
	require.Equal(t, []string{"ONCRMDEALUPDATE 1", "ONCRMDEALMOVETOCATEGORY 2", "ONCRMDEALDELETE 3", "ONCRMDEALADD 21"}, names)
}

func TestFaultsDoubleReorderAndForgeEvents(t *testing.T) {
	w := subscribed(t, "ONCRMDEALUPDATE")
	order := func(kind standintest.Kind) {
		require.NoError(t, w.portal.Control.Order(standintest.Fault{Kind: kind}))
	}
	order(standintest.Duplicate)
	require.NoError(t, w.portal.Edit("1", map[string]any{"TITLE": "a"}))
	require.Len(t, w.events(), 2)
	order(standintest.Reorder)
	require.NoError(t, w.portal.Edit("2", map[string]any{"TITLE": "b"}))
	require.NoError(t, w.portal.Edit("3", map[string]any{"TITLE": "c"}))
	events := w.events()
	require.Equal(t, "3", events[2].Get("data[FIELDS][ID]"))
	require.Equal(t, "2", events[3].Get("data[FIELDS][ID]"))
	order(standintest.Forge)
	require.NoError(t, w.portal.Edit("4", map[string]any{"TITLE": "d"}))
	require.NotEqual(t, w.portal.AppToken(), w.events()[4].Get("auth[application_token]"))
}

func TestReorderedEventArrivesEvenWithoutASuccessor(t *testing.T) {
	w := subscribed(t, "ONCRMDEALUPDATE")
	require.NoError(t, w.portal.Control.Order(standintest.Fault{Kind: standintest.Reorder}))
	require.NoError(t, w.portal.Edit("1", map[string]any{"TITLE": "a"}))
	require.Len(t, w.events(), 1)
}

func TestNoEventsBeforeTheInstallationIsFinished(t *testing.T) {
	w := newWorld(t)
	form := w.portal.InstallForm()
	w.ok(form.Body.Get("AUTH_ID"), "event.bind", map[string]any{"event": "ONCRMDEALUPDATE", "handler": w.app.URL + "/hook"})
	require.NoError(t, w.portal.Edit("1", map[string]any{"TITLE": "a"}))
	require.Empty(t, w.events())
	w.portal.FinishInstall()
	require.NoError(t, w.portal.Edit("1", map[string]any{"TITLE": "b"}))
	require.Len(t, w.events(), 1)
}

func TestUninstallIsToldWithoutTokensAndClearsRegistrations(t *testing.T) {
	w := subscribed(t, "ONAPPUNINSTALL", "ONCRMDEALUPDATE")
	pair, appToken := w.portal.TokenFor("1"), w.portal.AppToken()
	w.ok(pair.Access, "placement.bind", map[string]any{"PLACEMENT": TabPlacement, "HANDLER": w.app.URL + "/bitrix24/card"})
	status, _ := w.control("uninstall", `{"clean":true}`)
	require.Equal(t, 200, status)
	events := w.events()
	require.Len(t, events, 1)
	require.Equal(t, "1", events[0].Get("data[CLEAN]"))
	require.Equal(t, appToken, events[0].Get("auth[application_token]"))
	require.False(t, events[0].Has("auth[access_token]"))
	status, _ = w.call(pair.Access, "profile", nil)
	require.Equal(t, 401, status)
	require.Empty(t, w.portal.State().Placements)
	require.Empty(t, w.portal.State().Handlers)
}

func TestEventRegistrationsAreUniqueAndListed(t *testing.T) {
	w := subscribed(t, "ONCRMDEALUPDATE")
	token := w.admin()
	in := map[string]any{"event": "oncrmdealupdate", "handler": w.app.URL + "/hook"}
	_, out := w.call(token, "event.bind", in)
	require.Equal(t, "ERROR_CORE", out["error"])
	_, out = w.call(token, "event.bind", map[string]any{"event": "ONNOTHING", "handler": w.app.URL})
	require.Equal(t, "ERROR_EVENT_NOT_FOUND", out["error"])
	require.Len(t, w.ok(token, "event.get", nil), 1)
	require.Equal(t, map[string]any{"count": json.Number("1")}, w.ok(token, "event.unbind", in))
	require.Empty(t, w.ok(token, "event.get", nil))
}

func TestFailedDeliveriesAreLostAndSeenInTheState(t *testing.T) {
	w := subscribed(t)
	broken := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) }))
	defer broken.Close()
	w.ok(w.admin(), "event.bind", map[string]any{"event": "ONCRMDEALUPDATE", "handler": broken.URL})
	require.NoError(t, w.portal.Edit("1", map[string]any{"TITLE": "a"}))
	w.quiet()
	sent := w.portal.State().Events
	require.Equal(t, 500, sent[len(sent)-1].Status)
}

func TestCloseEndsTheQueueInTheMiddleOfADelivery(t *testing.T) {
	var once sync.Once
	began, release := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		once.Do(func() { close(began) })
		<-release
	}))
	defer slow.Close()
	defer close(release)
	s := New(Config{AppURL: slow.URL})
	s.Portal(acme).InstallForm()
	s.Portal(acme).FinishInstall()
	<-began
	closed := make(chan struct{})
	go func() { s.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Fatal("Close waits for the handler")
	}
}

func TestOfflineQueueKeepsOneRowPerDealUntilItIsCleared(t *testing.T) {
	w := subscribed(t)
	token := w.admin()
	w.ok(token, "event.bind", map[string]any{"event": "ONCRMDEALUPDATE", "event_type": "offline"})
	for _, title := range []string{"a", "b"} {
		require.NoError(t, w.portal.Edit("1", map[string]any{"TITLE": title}))
	}
	require.NoError(t, w.portal.Edit("2", map[string]any{"TITLE": "c"}))
	require.Len(t, w.ok(token, "event.offline.list", nil), 2)
	taken := w.ok(token, "event.offline.get", map[string]any{"clear": 0}).(map[string]any)
	require.Len(t, taken["events"], 2)
	require.Empty(t, w.ok(token, "event.offline.get", map[string]any{"clear": 0}).(map[string]any)["events"], "reserved")
	w.ok(token, "event.offline.clear", map[string]any{"process_id": taken["process_id"]})
	require.Empty(t, w.ok(token, "event.offline.list", nil))
}

package amotest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm/amo/amotest"
	"github.com/dealpay/dealpay/tenants/standintest"
)

func jsonBody(s string) io.Reader { return strings.NewReader(s) }

func (f *fixture) subscribe(events string) {
	got := f.api("POST", "webhooks", fmt.Sprintf(`{"destination":"%s/hook","settings":[%s]}`, f.app.URL, events))
	require.Equal(f.t, http.StatusCreated, got.status, got.raw)
}

// hooks are the webhooks received so far, decoded, once nothing is due.
func (f *fixture) hooks() []url.Values {
	require.NoError(f.t, f.account.Settle(f.t.Context()))
	var out []url.Values
	for _, c := range f.received("/hook") {
		require.Equal(f.t, "application/x-www-form-urlencoded", c.kind)
		v, err := url.ParseQuery(c.body)
		require.NoError(f.t, err)
		out = append(out, v)
	}
	return out
}

func TestMovedLeadIsAnnouncedAsStatusAndUpdate(t *testing.T) {
	f := start(t, amotest.Kommo, nil)
	f.payFields()
	f.subscribe(`"status_lead","update_lead","delete_lead"`)
	stage := amotest.StageInvoice
	require.NoError(t, f.account.Edit(amotest.ManagerID, "2", amotest.Edit{Status: &stage,
		Fields: map[string]string{"PAY_STATUS": "paid", "PAY_AT": "2026-01-02T03:04:05Z"}}))
	got := f.hooks()
	require.Len(t, got, 2)
	moved := got[0]
	require.Equal(t, "2", moved.Get("leads[status][0][id]"))
	require.Equal(t, fmt.Sprint(stage), moved.Get("leads[status][0][status_id]"))
	require.Equal(t, fmt.Sprint(amotest.StageNew), moved.Get("leads[status][0][old_status_id]"))
	require.Equal(t, fmt.Sprint(amotest.ManagerID), moved.Get("leads[status][0][modified_user_id]"))
	require.Equal(t, "Paid", moved.Get("leads[status][0][custom_fields][0][values][0][value]"))
	require.Equal(t, "1767323045", moved.Get("leads[status][0][custom_fields][1][values][0]"), "dates are bare strings")
	require.Equal(t, fmt.Sprint(f.account.ID), moved.Get("account[id]"))
	require.Equal(t, "2", got[1].Get("leads[update][0][id]"))
	require.NoError(t, f.account.Delete("2"))
	gone := f.hooks()[2]
	require.Equal(t, "2", gone.Get("leads[delete][0][id]"))
	require.Empty(t, gone.Get("leads[delete][0][price]"))
}

func TestBatchIsAnnouncedInOneBody(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	f.subscribe(`"update_lead"`)
	f.api("PATCH", "leads", `[{"id":1,"price":1},{"id":2,"price":2},{"id":3,"price":3}]`)
	got := f.hooks()
	require.Len(t, got, 1)
	require.Equal(t, "3", got[0].Get("leads[update][2][id]"))
}

func TestFailedWebhookIsRetriedOnTheClock(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	f.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	f.subscribe(`"update_lead"`)
	name := "x"
	require.NoError(t, f.account.Edit(amotest.ManagerID, "1", amotest.Edit{Name: &name}))
	require.Len(t, f.hooks(), 2, "at once and once more")
	for i, wait := range []time.Duration{5, 15, 15, 60} {
		f.account.Control.Clock.Advance(wait*time.Minute - time.Second)
		require.Len(t, f.hooks(), 2+i)
		f.account.Control.Clock.Advance(2 * time.Second)
		require.Len(t, f.hooks(), 3+i)
	}
	f.account.Control.Clock.Advance(24 * time.Hour)
	require.Len(t, f.hooks(), 6, "then it is given up")
}

func TestHundredFailuresDisableASubscription(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	f.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusFound) })
	f.subscribe(`"update_lead"`)
	for i := range 60 {
		name := fmt.Sprint(i)
		require.NoError(t, f.account.Edit(amotest.ManagerID, "1", amotest.Edit{Name: &name}))
	}
	require.Len(t, f.hooks(), 101)
	require.Equal(t, true, at(f.api("GET", "webhooks", "").body, "_embedded", "webhooks", 0, "disabled"))
	f.subscribe(`"update_lead"`)
	list := f.api("GET", "webhooks?filter[destination]="+url.QueryEscape(f.app.URL+"/hook"), "")
	require.Equal(t, false, at(list.body, "_embedded", "webhooks", 0, "disabled"), "subscribing again enables it")
	require.EqualValues(t, 1, list.body["_total_items"])
	require.Equal(t, http.StatusNoContent, f.api("DELETE", "webhooks", `{"destination":"`+f.app.URL+`/hook"}`).status)
	require.Equal(t, http.StatusNoContent, f.api("GET", "webhooks", "").status)
}

func TestFaultsActOnWebhooks(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	f.subscribe(`"update_lead"`)
	rename := func(name string) {
		require.NoError(t, f.account.Edit(amotest.ManagerID, "1", amotest.Edit{Name: &name}))
	}
	for _, kind := range []standintest.Kind{standintest.Duplicate, standintest.Reorder, standintest.Forge} {
		require.NoError(t, f.account.Control.Order(standintest.Fault{Kind: kind, Match: "update_lead"}))
		if kind == standintest.Forge {
			rename("truth")
			continue
		}
		rename(string(kind))
		rename("after " + string(kind))
		require.NoError(t, f.account.Settle(t.Context()))
	}
	var names []string
	for _, v := range f.hooks() {
		names = append(names, v.Get("leads[update][0][name]"))
	}
	require.Equal(t, []string{"duplicate", "duplicate", "after duplicate", "after reorder", "reorder", "", "truth"}, names)
	lie := f.hooks()[5]
	require.Equal(t, "142", lie.Get("leads[update][0][status_id]"))
	require.NotEqual(t, fmt.Sprint(f.account.ID), lie.Get("account[id]"))
}

func TestTariffWithoutWebhooksRefusesThem(t *testing.T) {
	f := start(t, amotest.Kommo, nil)
	f.account.Switch(func(s *amotest.Switches) { s.WebhooksPlan = false })
	got := f.api("POST", "webhooks", `{"destination":"https://x.example/","settings":["update_lead"]}`)
	require.Equal(t, http.StatusPaymentRequired, got.status)
	f.account.Control.Reset()
	require.Equal(t, http.StatusBadRequest, f.api("POST", "webhooks", `{"destination":"https://x.example/","settings":["explode_lead"]}`).status)
}

func TestDigitalPipelineCallsTheWidget(t *testing.T) {
	f := start(t, amotest.Kommo, nil)
	require.NoError(t, f.account.Automate(amotest.MainPipeline, amotest.StageInvoice, f.app.URL+"/pipeline", map[string]any{"send": "1"}))
	require.NoError(t, f.account.Move("3", amotest.MainPipeline, amotest.StageInvoice))
	require.NoError(t, f.account.Settle(t.Context()))
	calls := f.received("/pipeline")
	require.Len(t, calls, 1)
	require.Contains(t, calls[0].body, `"type_code":"lead_status_changed"`)
	require.Contains(t, calls[0].body, fmt.Sprintf(`"account_id":"%d"`, f.account.ID))
	require.Contains(t, calls[0].body, `"settings":{"widget":{"settings":{"send":"1"}}}`)
}

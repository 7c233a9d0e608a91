package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// ownField finds a field that the customer made in the CRM.
func (a *account) ownField(name string) string {
	a.Helper()
	all := want[api.FieldList](a.scene, http.StatusOK, a.api(http.MethodGet, "/fields", nil)).Items
	at := slices.IndexFunc(all, func(f api.Field) bool { return f.Name == name })
	require.GreaterOrEqual(a, at, 0, name)
	for _, f := range all {
		require.NotContains(a, strings.ToUpper(f.Id), "DEALPAY")
	}
	return all[at].Id
}

// writesOwn changes a field of the customer's by hand.
func (a *account) writesOwn(deal, field, text string) {
	a.Helper()
	if a.CRM == string(crm.Bitrix24) {
		a.order(a.Account, "edit", map[string]any{"deal": deal, "fields": map[string]any{field: text}})
		return
	}
	a.order(a.Account, "leads/edit", map[string]any{"lead": deal, "fields": map[string]string{field: text}})
}

func (c card) held(field string) string {
	v, ok := c.Fields[field]
	if !ok {
		return ""
	}
	return fmt.Sprint(v)
}

func TestValuesGoToTheFieldsThatAPipelineChose(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		pipeline, _, _, _, other, elsewhere := a.places()
		status, received, at := a.ownField("Accounting: status"), a.ownField("Accounting: received"), a.ownField("Accounting: received at")
		fields := map[string]map[string]string{pipeline: {"status": status, "paid": received, "paid_at": at, "link": crm.Nowhere}}
		a.sets(func(s *api.Settings) { s.Stages, s.Fields = map[string]map[string]string{}, &fields })
		a.sets(func(s *api.Settings) { s.Fields = nil }) // as it was
		now := want[api.SettingsView](a.scene, http.StatusOK, a.api(http.MethodGet, "/settings", nil)).Settings
		require.Equal(a, fields, *now.Fields)
		require.Equal(a, status, a.text(`SELECT evidence #>> ARRAY['after', 'fields', $1, 'status'] FROM audit
			WHERE action = 'settings.changed' AND evidence->'after' ? 'fields' AND NOT evidence->'before' ? 'fields'`, pipeline), "before and after stand in the trail")

		in := a.paidDeal("1")
		deal := a.deal("1")
		require.Equal(a, "Paid", deal.held(status))
		require.Contains(a, deal.held(received), "150000.00")
		require.NotEmpty(a, deal.held(at))
		for _, key := range []string{"status", "link", "paid_at"} {
			require.Empty(a, deal.field(key), "our own field of %s shows nothing old", key)
		}
		require.Equal(a, []string{"0.00", in.ProviderRef}, []string{deal.field("outstanding"), deal.field("reference")})

		a.writesOwn("1", status, "Bankrupt")
		a.shows(in, true, "status")
		require.Equal(a, "Paid", a.deal("1").held(status), "it is repaired as ours would be")
		a.rests()
		a.handWrites("1", "cancelled") // our own field, which holds nothing here
		a.rests()
		require.Equal(a, "Paid", a.deal("1").held(status))

		a.handMoves("1", other, elsewhere)
		a.until("it is written to the other pipeline's fields", func() bool { return a.deal("1").field("status") == "paid" })
		a.rests()
		deal = a.deal("1")
		require.Equal(a, []string{in.Url, elsewhere, "150000.00"}, []string{deal.field("link"), deal.Stage, deal.field("paid")})
		require.Len(a, deal.notes(in), 1)
		require.Empty(a, a.exceptions("1"))

		a.sets(func(s *api.Settings) { s.Fields = &map[string]map[string]string{} })
		a.paidDeal("2")
		require.Equal(a, []string{"paid", ""}, []string{a.deal("2").field("status"), a.deal("2").held(status)})
	})
}

// A field that somebody deletes in the CRM costs no value in silence: a person is told, and other settings can still be kept.
func TestAFieldThatWasDeletedInTheCRMIsAnException(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.Kommo]
	pipeline, _, _, _, _, _ := a.places()
	field := a.ownField("Accounting: status")
	in := a.create("1")
	a.becomes(in, "awaiting_payment")
	fields := map[string]map[string]string{pipeline: {"reference": field}}
	a.sets(func(s *api.Settings) { s.Stages, s.Fields = map[string]map[string]string{}, &fields })
	a.deletes(field)

	a.pays(a.press(in), "paid", 1)
	a.until("a person is told", func() bool { return len(a.exceptions("1")) == 1 })
	require.Equal(t, "sync_failed", a.exceptions("1")[0].Kind)
	a.sets(func(s *api.Settings) { s.Merchant = "Oak & Stone" })
	a.sets(func(s *api.Settings) { s.Fields = &map[string]map[string]string{} })
	require.Equal(t, http.StatusOK, a.resolve(a.exceptions("1")[0], "retry").Status)
	a.becomes(in, "paid")
	require.Empty(t, a.exceptions("1"))
}

// adminToken is the access of the account's administrator to its REST.
func (a *account) adminToken() string {
	a.Helper()
	who := map[string]any{}
	if a.CRM == string(crm.Bitrix24) {
		who["user"] = "1"
	}
	var token struct {
		Access string `json:"access_token"`
	}
	require.NoError(a, json.Unmarshal(a.order(a.Account, "token", who), &token))
	return token.Access
}

// deletes removes a field by hand. The account's limit counts this request, too.
func (a *account) deletes(field string) {
	a.Helper()
	token := a.adminToken()
	a.until("the field is deleted", func() bool {
		if a.CRM == string(crm.Bitrix24) {
			return a.send(http.MethodPost, "http://"+a.host()+"/rest/crm.deal.userfield.delete.json", map[string]any{"auth": token, "id": field}).Status == http.StatusOK
		}
		return a.send(http.MethodDelete, "http://"+a.host()+"/api/v4/leads/custom_fields/"+field, nil, "Authorization", "Bearer "+token).Status == http.StatusNoContent
	})
}

// statusField is the CRM's id of the field that shows our status.
func (a *account) statusField() (id string) {
	a.Helper()
	token := a.adminToken()
	var fields []struct {
		ID   json.Number `json:"id"`
		Code string      `json:"code"`
		Name string      `json:"field_name"` // Bitrix24 writes both in capitals
	}
	a.until("the fields are listed", func() bool {
		if a.CRM == string(crm.Bitrix24) {
			got := a.send(http.MethodPost, "http://"+a.host()+"/rest/crm.deal.userfield.list.json", map[string]any{"auth": token})
			return got.Status == http.StatusOK && json.Unmarshal(got.Body, &struct{ Result any }{&fields}) == nil
		}
		got := a.send(http.MethodGet, "http://"+a.host()+"/api/v4/leads/custom_fields?limit=250", nil, "Authorization", "Bearer "+token)
		in := struct {
			Embedded any `json:"_embedded"`
		}{&struct {
			Fields any `json:"custom_fields"`
		}{&fields}}
		return got.Status == http.StatusOK && json.Unmarshal(got.Body, &in) == nil
	})
	for _, f := range fields {
		if strings.HasSuffix(f.Code+f.Name, "DEALPAY_STATUS") {
			id = f.ID.String()
		}
	}
	require.NotEmpty(a, id)
	return id
}

// One of our own fields that somebody deletes is made again, without anybody's help.
func TestAFieldOfOursThatWasDeletedIsMadeAgain(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		in := a.create("1")
		a.becomes(in, "awaiting_payment")
		a.deletes(a.statusField())
		a.pays(a.press(in), "paid", 1)
		a.until("the deal shows it", func() bool { return a.deal("1").field("status") == "paid" })
		a.until("it is told", func() bool { return len(a.deal("1").notes(in)) == 1 })
		require.Empty(a, a.exceptions("1"))
		require.Zero(a, a.health().Failed)
	})
}

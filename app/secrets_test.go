package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/crm"
	"github.com/stretchr/testify/require"
)

// TestASecretIsNeverAnsweredOrWrittenDown connects every acquirer, reads every route that can be read, and lets the
// acquirers and the CRM fail; no secret that the tenant or the deployment ever entered is in an answer, or in what is
// kept of a failure.
func TestASecretIsNeverAnsweredOrWrittenDown(t *testing.T) {
	t.Parallel()
	a := newScene(t, everyAcquirer).accounts[crm.Bitrix24]
	secrets := []string{demo.VposToken, demo.VposSecret, demo.Bitrix24Secret, demo.AmoSecret}
	for key, p := range a.house.payments.Providers {
		if key != demo.Acquirer {
			a.connect(key)
		}
		var credentials map[string]string
		require.NoError(t, json.Unmarshal(a.order(key, "credentials", nil), &credentials))
		for _, c := range p.Describe().Credentials {
			if value := credentials[c.Key]; c.Secret && value != "" {
				secrets = append(secrets, value)
			}
		}
	}
	require.Len(t, secrets, 4+10)
	p := a.own("2", "3")
	p.fields["registers"], p.fields["invoices"] = demo.Acquirer, a.owes("2").Id
	owner := a.APIKey
	for _, token := range []string{owner, a.session("", crm.Bitrix24, "admin"), a.session("2", crm.Bitrix24, "admin")} {
		me, read := a.with(token), 0
		for _, r := range a.routes() {
			if r.Method != http.MethodGet {
				continue
			}
			path := strings.TrimPrefix(r.Path, "/api/v1")
			folder, _, _ := strings.Cut(path[1:], "/")
			for _, parameter := range []string{":id", ":deal_id", ":acquirer"} {
				path = strings.Replace(path, parameter, p.fields[folder], 1)
			}
			path += "?" + url.Values{"from": {a.clock.Now().AddDate(0, -1, 0).Format(time.DateOnly)}, "to": {a.clock.Now().Format(time.DateOnly)}, "deal_id": {"2"}}.Encode()
			got := me.api(http.MethodGet, path, nil)
			if got.Status == http.StatusOK {
				read++
			} else if token == owner { // the key reaches all there is; of these there is none
				require.Contains(t, []string{"/api/v1/settings/mail", "/api/v1/card", "/api/v1/registers/:acquirer/mapping"}, r.Path, "%s: %s", path, got.Body)
			}
			for _, secret := range append(secrets, owner) {
				require.NotContains(t, string(got.Body), secret, path)
			}
		}
		require.Greater(t, read, 5)
	}
	settings := string(a.api(http.MethodGet, "/settings", nil).Body)
	require.Equal(t, len(a.house.payments.Providers), strings.Count(settings, `"connected":true`))

	for key := range a.house.payments.Providers {
		in := a.create("5", map[string]any{"amount": map[string]any{"minor": 1_500_000, "currency": "AMD"}, "acquirer": key})
		a.leave(in, key)
		a.fault(key, "html_page", -1, 0, "")
		got := a.api(http.MethodPost, "/invoices/"+in.Id+"/check", nil)
		for _, secret := range append(secrets, owner) {
			require.NotContains(t, string(got.Body), secret, key)
		}
	}
	a.quiet()
	a.fault(a.Account, "html_error", -1, 0, "")
	a.receive(a.get(p.fields["invoices"]), 100) // the CRM is to be told
	a.clock.Advance(time.Minute)
	a.until("failures are kept", func() bool {
		return a.number(`SELECT count(*) FROM outbox WHERE kind = 'check' AND last_error <> ''`) > 2 &&
			a.number(`SELECT count(*) FROM outbox WHERE kind = 'push' AND last_error <> ''`) > 0
	})
	kept := a.text(`SELECT coalesce((SELECT string_agg(last_error, ' ') FROM outbox), '') || coalesce((SELECT string_agg(last_error, ' ') FROM effects), '')`)
	for _, secret := range append(secrets, owner) {
		require.NotContains(t, kept, secret)
	}
}

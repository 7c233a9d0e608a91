package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/bitrix24/bitrix24test"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// runs lists what became of the portal's rules on a deal.
func (a *account) runs(deal string) (all []bitrix24test.RobotRun) {
	a.Helper()
	var state bitrix24test.State
	require.NoError(a, json.Unmarshal(a.order(a.Account, "state", nil), &state))
	for _, r := range state.RobotRuns {
		if r.Deal == deal {
			all = append(all, r)
		}
	}
	return all
}

// ruled waits until the portal's n rules on a deal went on, and returns the last one.
func (a *account) ruled(deal string, n int) bitrix24test.RobotRun {
	a.Helper()
	var last bitrix24test.RobotRun
	a.until("the rules are answered", func() bool {
		all := a.runs(deal)
		for _, r := range all {
			last = r
			if !r.Done {
				return false
			}
		}
		return len(all) == n
	})
	return last
}

func (a *account) rule(code, deal string, properties map[string]any) {
	a.Helper()
	a.order(a.Account, "robot", map[string]any{"code": code, "deal": deal, "fields": properties})
}

func (a *account) invoices(deal string) []api.Invoice {
	a.Helper()
	return want[api.InvoicePage](a.scene, http.StatusOK, a.api(http.MethodGet, "/invoices?deal_id="+deal, nil)).Items
}

func TestARuleMakesALinkAndAnotherWaitsForItsPayment(t *testing.T) {
	t.Parallel()
	a := newScene(t).accounts[crm.Bitrix24]
	a.fault(a.Account, "duplicate", 1, 0, "robot")
	a.rule(crm.RobotLink, "9", map[string]any{"amount": "1200.50", "purpose": "Deposit", "days": "2"})
	made := a.ruled("9", 1)
	all := a.invoices("9")
	require.Len(t, all, 1, "a call that comes twice is one")
	in := all[0]
	require.Equal(t, map[string]string{"link": in.Url, "number": in.Number, "amount": "1200.50 AMD", "status": "awaiting_payment"}, made.Values)
	require.Equal(t, "Deposit", in.Purpose)
	require.True(t, in.Locked, "the scheme gives it to the customer")

	held := a.create("12")
	for _, deal := range []string{"9", "12"} {
		a.rule(crm.RobotWait, deal, nil)
	}
	a.pays(a.press(held), "authorized", 1)
	a.until("the hold is seen", func() bool { return a.get(held.Id).Attempts[0].Status == "authorized" })
	payment := a.pays(a.press(in), "paid", 1)
	require.Equal(t, map[string]string{"status": "paid", "paid": "1200.50 AMD", "reference": payment.Ref}, a.ruled("9", 2).Values)
	a.quiet()
	require.False(t, a.runs("12")[0].Done, "what is only held is not paid")

	a.rule(crm.RobotLink, "10", nil)
	rest := a.ruled("10", 1)
	require.Equal(t, "33000.00 AMD", rest.Values["amount"], "what is left open comes from the deal")
	a.rule(crm.RobotWait, "10", nil)
	a.act(a.invoices("10")[0], "cancel", nil)
	require.Equal(t, "cancelled", a.ruled("10", 2).Values["status"])

	a.rule(crm.RobotLink, "11", map[string]any{"amount": "1e9", "days": "0"})
	failed := a.ruled("11", 1)
	require.Equal(t, "failed", failed.Values["status"])
	require.NotEmpty(t, failed.Values["error"])
	require.Empty(t, a.invoices("11"))
}

func TestARuleThatThePortalDoesNotKnowMakesNothing(t *testing.T) {
	t.Parallel()
	a := newScene(t).accounts[crm.Bitrix24]
	var known struct {
		Member string `json:"member_id"`
		Token  string `json:"application_token"`
	}
	require.NoError(t, json.Unmarshal(a.order(a.Account, "credentials", nil), &known))
	call := func(path string, change map[string]string) answer {
		form := url.Values{"code": {crm.RobotLink}, "event_token": {"0123456789abcdef|A1_2_3"}, "document_id[2]": {"DEAL_9"},
			"auth[member_id]": {known.Member}, "auth[application_token]": {known.Token}}
		for k, v := range change {
			form.Set(k, v)
		}
		return a.send(http.MethodPost, a.app+"/bitrix24/robots/"+path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	}
	refused(a.scene, http.StatusForbidden, "forged", call(crm.RobotLink, map[string]string{"auth[application_token]": "0123456789abcdef0123456789abcdef"}))
	refused(a.scene, http.StatusForbidden, "forged", call(crm.RobotLink, map[string]string{"auth[member_id]": "0123456789abcdef0123456789abcdef"}))
	refused(a.scene, http.StatusBadRequest, "bad_robot", call(crm.RobotWait, nil))
	refused(a.scene, http.StatusBadRequest, "bad_robot", call("other", map[string]string{"code": "other"}))
	refused(a.scene, http.StatusBadRequest, "bad_robot", call(crm.RobotLink, map[string]string{"document_id[2]": "LEAD_9"}))
	require.Zero(t, a.number(`SELECT count(*) FROM robot_calls`))

	require.Equal(t, http.StatusOK, call(crm.RobotLink, nil).Status, "anybody in the portal can learn its application token")
	a.until("the portal is asked", func() bool { return a.number(`SELECT count(*) FROM robot_calls WHERE outcome = 'unknown'`) == 1 })
	a.quiet()
	require.Empty(t, a.invoices("9"))
	require.Empty(t, a.runs("9"))
}

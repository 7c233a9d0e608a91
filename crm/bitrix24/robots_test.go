package bitrix24_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/bitrix24"
	"github.com/dealpay/dealpay/crm/bitrix24/bitrix24test"
)

// called is what the portal posted for a rule that it ran.
func called(t *testing.T, portal *bitrix24test.Portal, code string) (address string, form url.Values) {
	t.Helper()
	require.Eventually(t, portal.Quiet, 5*time.Second, 5*time.Millisecond)
	events := portal.State().Events
	for i := len(events) - 1; i >= 0; i-- {
		body, err := url.ParseQuery(events[i].Body)
		require.NoError(t, err)
		if body.Get("code") == code {
			return events[i].URL, body
		}
	}
	t.Fatalf("no call of %s", code)
	return "", nil
}

func parsed(form url.Values) (crm.RobotCall, error) {
	return bitrix24.ParseRobot(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode())))
}

func TestARuleIsCalledAndAnsweredOnce(t *testing.T) {
	_, portal, account := installed(t)
	require.ElementsMatch(t, []string{crm.RobotLink, crm.RobotWait}, portal.State().Robots)
	token, err := portal.RunRobot(crm.RobotLink, "4", map[string]any{"amount": 1500.5, "purpose": " Deposit "})
	require.NoError(t, err)
	address, form := called(t, portal, crm.RobotLink)
	require.Equal(t, "http://app.localhost/bitrix24/robots/"+crm.RobotLink, address)
	call, err := parsed(form)
	require.NoError(t, err)
	require.Equal(t, crm.RobotCall{Code: crm.RobotLink, AccountKey: portal.MemberID(), AppToken: portal.AppToken(), DealID: "4", Token: token,
		Properties: map[string]string{"amount": "1500.5", "purpose": "Deposit"}}, call, "what was left empty is left out")

	refused := func(err error) { require.Equal(t, crm.Refused, crm.ClassOf(err)) }
	refused(account.LogRobot(t.Context(), "x"+token, "forged"))
	require.NoError(t, account.LogRobot(t.Context(), token, "seen"))
	require.NoError(t, account.AnswerRobot(t.Context(), token, map[string]string{"link": "https://pay.example.com/p/1", "other": "dropped"}, "done"))
	refused(account.AnswerRobot(t.Context(), token, map[string]string{"link": "twice"}, "again"))
	refused(account.LogRobot(t.Context(), token, "too late"))
	require.Equal(t, []bitrix24test.RobotRun{{Code: crm.RobotLink, Deal: "4", Done: true, Values: map[string]string{"link": "https://pay.example.com/p/1"},
		Log: []string{"seen", "done"}}}, portal.State().RobotRuns)
}

func TestCallsThatAreNoRulesAreRefused(t *testing.T) {
	_, portal, _ := installed(t)
	_, err := portal.RunRobot(crm.RobotWait, "4", nil)
	require.NoError(t, err)
	_, good := called(t, portal, crm.RobotWait)
	for name, value := range map[string]string{"code": "other", "auth[member_id]": "", "auth[application_token]": "", "event_token": "a b",
		"document_id[2]": "LEAD_4"} {
		form := url.Values{}
		for k, v := range good {
			form[k] = v
		}
		form.Set(name, value)
		_, err := parsed(form)
		require.ErrorIs(t, err, bitrix24.ErrEvent, name)
	}
	_, err = parsed(good)
	require.NoError(t, err)
}

func TestAPortalWithoutAutomationIsSetUpAllTheSame(t *testing.T) {
	s := startWith(t, "crm,placement,userfieldconfig")
	account := s.site(t, acme).Open(nil)
	layout, err := account.Setup(t.Context())
	require.NoError(t, err)
	require.NotContains(t, string(layout), "robots")
	require.Empty(t, s.Portal(acme).State().Robots)
	require.NotEmpty(t, s.Portal(acme).State().Placements)
	require.NoError(t, account.Leave(t.Context()))
}

func TestRulesThatMovedCallTheNewAddress(t *testing.T) {
	s, portal, _ := installed(t)
	site := s.site(t, acme)
	layout, err := site.Open(nil).Setup(t.Context())
	require.NoError(t, err)
	moved := bitrix24.New(bitrix24.Config{Endpoint: s.rest(acme), HTTP: s.client, Tokens: site.Tokens, Layout: layout,
		Handlers: bitrix24.Handlers{Card: "http://app.localhost/bitrix24/card", Events: "http://app.localhost/bitrix24/events", Robots: "http://app.localhost/moved/"}})
	again, err := moved.Setup(t.Context())
	require.NoError(t, err)
	_, err = portal.RunRobot(crm.RobotWait, "1", nil)
	require.NoError(t, err)
	address, _ := called(t, portal, crm.RobotWait)
	require.Equal(t, "http://app.localhost/moved/"+crm.RobotWait, address)
	require.Contains(t, string(again), "http://app.localhost/moved/")
}

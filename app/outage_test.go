package main

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// down takes an account's CRM away; up brings it back.
func (a *account) down() { a.outages.Store(a.Account, true) }
func (a *account) up()   { a.outages.Delete(a.Account) }

func TestACRMThatIsDownDelaysNothingButItself(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	for _, a := range s.accounts {
		in := a.create("1")
		a.becomes(in, "awaiting_payment")
		key := once()
		body := map[string]any{"deal_id": "2", "amount": map[string]any{"minor": 100, "currency": "AMD"}}
		made := want[api.Invoice](s, http.StatusCreated, a.api(http.MethodPost, "/invoices", body, key...))
		a.quiet()
		a.down()
		require.Equal(t, made.Id, want[api.Invoice](s, http.StatusCreated, a.api(http.MethodPost, "/invoices", body, key...)).Id,
			"a repeated request needs no CRM")
		refused(s, http.StatusServiceUnavailable, "crm_unavailable", a.api(http.MethodPost, "/invoices", map[string]any{"deal_id": "3"}, once()...))
		s.pays(s.press(in), "paid", 1)
		var now api.Invoice
		s.until("the reason is shown", func() bool {
			now = a.get(in.Id)
			return now.Status == "paid" && now.Sync.Reason != ""
		})
		require.Equal(t, "waiting", string(now.Sync.State))
		require.Equal(t, "transient", now.Sync.Reason)
		require.NotNil(t, now.Sync.NextTryAt)
		require.Len(t, a.balance("1").Invoices, 1, "the deal is shown without its CRM")
	}
	s.patience(10 * time.Minute)
	for _, a := range s.accounts {
		require.Empty(t, a.exceptions("1"), "nobody is bothered within a quarter of an hour")
	}
	s.patience(6 * time.Minute)
	for _, a := range s.accounts {
		s.until("a person is told", func() bool { return len(a.exceptions("1")) == 1 })
		require.Equal(t, "sync_failed", a.exceptions("1")[0].Kind)
		require.Equal(t, "paid", string(a.get(a.balance("1").Invoices[0].Id).Status))
		a.up()
	}
	s.clock.Advance(61 * time.Minute)
	for _, a := range s.accounts {
		in := a.becomes(a.balance("1").Invoices[0], "paid")
		card := a.deal("1")
		require.Equal(t, "paid", card.field("status"))
		require.Len(t, card.notes(in), 1)
		require.Empty(t, a.exceptions("1"), "it closes by itself")
		require.Empty(t, card.Tasks)
	}
}

// patience lets time pass and waits until every account's CRM was tried again.
func (s *scene) patience(d time.Duration) {
	s.Helper()
	tries := map[*account]int{}
	count := func(a *account) int {
		return a.number(`SELECT coalesce(sum(attempts), 0) FROM outbox WHERE kind = 'push' AND key = '1' AND done_at IS NULL`)
	}
	for _, a := range s.accounts {
		tries[a] = count(a)
	}
	s.clock.Advance(d)
	for a, before := range tries {
		s.until("another try", func() bool { return count(a) > before })
	}
}

func TestAThrottlingCRMIsObeyed(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		in := a.create("4")
		a.becomes(in, "awaiting_payment")
		a.fault(a.Account, "throttle", 1, 0, "")
		a.pays(a.press(in), "paid", 1)
		a.until("paid", func() bool { return a.get(in.Id).Status == "paid" })
		a.becomes(in, "paid")
		require.Len(a, a.deal("4").notes(in), 1)
		require.Empty(a, a.exceptions("4"))
	})
}

func TestACRMThatShutsUsOutIsLeftAloneAndAnAdministratorIsTold(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	shut := []*account{s.accounts[crm.AmoCRM], s.accounts[crm.Kommo]} // an HTML 403 is their word for it
	invoices := map[*account]api.Invoice{}
	for _, a := range shut {
		in := a.create("4")
		invoices[a] = in
		a.becomes(in, "awaiting_payment")
		a.quiet()
		a.fault(a.Account, "html_error", 1, 0, "")
		a.pays(a.press(in), "paid", 1)
		s.until("the reason is shown", func() bool {
			now := a.get(in.Id)
			return now.Status == "paid" && now.Sync.Reason == "blocked"
		})
		told := a.exceptions("")
		require.Len(t, told, 1)
		require.Equal(t, "crm_blocked", told[0].Kind)
		requests := a.order(a.Account, "requests", nil)
		refused(s, http.StatusTooManyRequests, "crm_busy", a.api(http.MethodPost, "/invoices", map[string]any{"deal_id": "7"}, once()...))
		require.Equal(t, requests, a.order(a.Account, "requests", nil), "it is not called meanwhile")
	}
	require.NoError(t, s.house.redis.FlushDB(t.Context()).Err()) // the limiter counts by Redis's own clock
	s.clock.Advance(61 * time.Minute)
	for _, a := range shut {
		in := a.becomes(invoices[a], "paid")
		require.Len(t, a.deal("4").notes(in), 1)
		s.until("it closes by itself", func() bool { return len(a.exceptions("")) == 0 })
	}
}

func TestAnAnswerOfTheCRMThatGotLostDoublesNothing(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		in := a.create("5")
		a.becomes(in, "awaiting_payment")
		a.fault(a.Account, "drop_after_commit", 2, 0, "POST")
		a.fault(a.Account, "drop_after_commit", 1, 0, "PATCH")
		a.pays(a.press(in), "wrong_amount", 1)
		a.becomes(in, "manual_review")
		a.quiet()
		card := a.deal("5")
		require.Len(a, card.notes(in), 1)
		require.Len(a, card.Tasks, 1)
	})
}

func TestWorkWaitsForARevokedConnectionAndGoesOnWithTheNext(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		in := a.create("6")
		a.becomes(in, "awaiting_payment")
		a.fault(a.Account, "revoke", 1, 0, "")
		a.pays(a.press(in), "paid", 1)
		var now api.Invoice
		a.until("the connection is known to be revoked", func() bool {
			now = a.get(in.Id)
			return now.Status == "paid" && now.Sync.Reason == "revoked"
		})
		health := want[api.SettingsView](a.scene, http.StatusOK, a.api(http.MethodGet, "/settings", nil)).Health
		require.Equal(a, "revoked", string(health.Status))
		require.Positive(a, health.Waiting)
		refused(a.scene, http.StatusConflict, "not_connected", a.api(http.MethodPost, "/invoices", map[string]any{"deal_id": "7"}, once()...))
		a.order(a.Account, "install", map[string]any{})
		a.becomes(in, "paid")
		require.Len(a, a.deal("6").notes(in), 1)
		require.Empty(a, a.exceptions("6"))
	})
}

func TestAnAcquirerThatRefusesItsCredentialsNeedsRepair(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.Bitrix24]
	var credentials map[string]string
	require.NoError(t, json.Unmarshal(a.order(demo.Acquirer, "credentials", nil), &credentials))
	refusedAt := func() *time.Time {
		for _, v := range want[api.SettingsView](s, http.StatusOK, a.api(http.MethodGet, "/settings", nil)).Acquirers {
			if v.Acquirer == demo.Acquirer {
				return v.RefusedAt
			}
		}
		return nil
	}
	one, other := a.create("1"), a.create("2")
	a.press(one)
	a.press(other)
	require.Nil(t, refusedAt())
	a.fault(demo.Acquirer, "revoke", 1, 0, "")
	for _, in := range []api.Invoice{one, other} {
		refused(s, http.StatusUnprocessableEntity, "credentials", a.api(http.MethodPost, "/invoices/"+in.Id+"/check", nil))
	}
	require.NotNil(t, refusedAt())
	told := a.exceptions("")
	require.Len(t, told, 1)
	require.Equal(t, "credentials_refused", told[0].Kind)
	require.Contains(t, told[0].WhatToDo, "enter the credentials")
	a.order(demo.Acquirer, "reset", map[string]any{})
	want[api.AcquirerView](s, http.StatusOK, a.api(http.MethodPut, "/acquirers/"+demo.Acquirer, map[string]any{"credentials": credentials, "test": true}))
	require.Nil(t, refusedAt())
	require.Empty(t, a.exceptions(""))
}

func TestADealThatIsGoneIsAnExceptionAndItsMoneyStays(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		in := a.create("8")
		a.becomes(in, "awaiting_payment")
		remove, order := "delete", map[string]any{"deal": "8"}
		if a.CRM != string(crm.Bitrix24) {
			remove, order = "leads/delete", map[string]any{"lead": 8}
		}
		a.order(a.Account, remove, order)
		a.pays(a.press(in), "paid", 1)
		a.until("a person is told", func() bool { return len(a.exceptions("8")) == 1 })
		a.quiet()
		require.Equal(a, "deal_gone", a.exceptions("8")[0].Kind)
		require.Equal(a, "paid", string(a.get(in.Id).Status))
		require.Equal(a, in.Amount.Minor, a.balance("8").Paid.Minor)
	})
}

func TestAnAcquirerThatIsDownIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.Kommo]
	in := a.create("1")
	checkout := s.press(in)
	other := a.create("2")
	s.outages.Store("api.vpos.am", true)
	s.pays(checkout, "paid", 1)
	page := s.send(http.MethodPost, other.Url+"/pay", "")
	require.Equal(t, http.StatusServiceUnavailable, page.Status)
	refused(s, http.StatusServiceUnavailable, "acquirer_unavailable", a.api(http.MethodPost, "/invoices/"+in.Id+"/check", nil))
	s.until("the check failed", func() bool { return a.number(`SELECT max(attempts) FROM outbox WHERE kind = 'check'`) > 0 })
	require.Equal(t, "awaiting_payment", string(a.get(in.Id).Status))
	s.outages.Delete("api.vpos.am")
	s.clock.Advance(10 * time.Second)
	a.becomes(in, "paid")
	s.pays(s.press(other), "paid", 0)
	require.Equal(t, "paid", string(a.act(other, "check", nil).Status))
}

func TestAForgedNoticeChangesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.Bitrix24]
	in := a.create("1")
	s.fault(demo.Acquirer, "forge", 1, 0, "captured")
	checkout := s.press(in)
	a.quiet()
	before := a.print()
	s.pays(checkout, "paid", 1)
	s.until("the forgery is in the audit trail", func() bool {
		return a.number(`SELECT count(*) FROM audit WHERE action = 'notice.refused' AND actor = $1`, string(tenants.Acquirer)) == 1
	})
	a.quiet()
	require.Equal(t, before, a.print())
}

func TestSettingsThatNameNothingNewOfTheCRMAreKeptWithoutIt(t *testing.T) {
	t.Parallel()
	everywhere(t, newScene(t), func(a *account) {
		pipeline, fresh, mapped, _, _, _ := a.places()
		a.sets(func(s *api.Settings) { s.Stages = map[string]map[string]string{pipeline: {"paid": mapped}} })
		a.down()
		a.sets(func(s *api.Settings) { s.Merchant = "Renamed" })
		now := want[api.SettingsView](a.scene, http.StatusOK, a.api(http.MethodGet, "/settings", nil)).Settings
		require.Equal(a, "Renamed", now.Merchant)
		require.Equal(a, map[string]map[string]string{pipeline: {"paid": mapped}}, now.Stages)
		now.Stages = map[string]map[string]string{pipeline: {"paid": fresh}}
		require.Equal(a, http.StatusServiceUnavailable, a.api(http.MethodPut, "/settings", now).Status, "another stage must be one of the CRM's")
	})
}

// The portal refuses more notes for ten minutes: the fields go on, and the card says what is late.
func TestAMethodThatUsedUpItsTimeHoldsOnlyWhatNeedsIt(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	a := s.accounts[crm.Bitrix24]
	first, second := a.create("1"), a.create("2")
	a.quiet()
	a.order(a.Account, "cost", map[string]any{"method": "crm.timeline.comment.add", "ms": 600_000})
	a.pays(a.press(first), "paid", 1)
	a.becomes(first, "paid")
	a.until("its note is there", func() bool { return len(a.deal("1").notes(first)) == 1 })

	a.pays(a.press(second), "paid", 1)
	a.until("the fields are written and the note waits", func() bool {
		return a.deal("2").field("status") == "paid" && a.get(second.Id).Sync.Reason == "throttled"
	})
	now := a.get(second.Id)
	require.Empty(t, a.deal("2").notes(second))
	require.Equal(t, "waiting", string(now.Sync.State))
	require.WithinDuration(t, s.clock.Now().Add(10*time.Minute), *now.Sync.NextTryAt, time.Minute)

	a.order(a.Account, "cost", map[string]any{"method": "crm.timeline.comment.add", "ms": 1})
	require.NoError(t, s.house.redis.FlushDB(t.Context()).Err()) // the limiter counts by Redis's own clock
	a.order(a.Account, "clock", map[string]any{"advance": "11m"})
	s.clock.Advance(11 * time.Minute)
	a.until("the note came", func() bool { return len(a.deal("2").notes(second)) == 1 })
	require.Empty(t, a.exceptions("2"))
}

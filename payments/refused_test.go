package payments_test

import (
	"context"
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/tilltest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/stretchr/testify/require"
)

// repair says since when the till's credentials need repair, and whether the tenant has an exception about it.
func (s *shop) repair() (since *time.Time, told bool) {
	s.Helper()
	s.In(func(ctx context.Context, tx *tenants.Tx) error {
		all, err := payments.Connections(ctx, tx)
		for _, l := range all {
			since = l.RefusedAt
		}
		return err
	})
	for _, e := range s.open() {
		told = told || e.Kind == payments.AccessRefused
	}
	return since, told
}

func (s *shop) broken(is bool) {
	s.Helper()
	since, told := s.repair()
	require.Equal(s, [2]bool{is, is}, [2]bool{since != nil, told})
}

// learns asks about an attempt, whatever comes of it.
func (s *shop) learns(a payments.Attempt) { _, _ = s.Check(s.Context(), s.ID, a.ID) }

func TestCredentialsThatAreRefusedAreOneExceptionUntilTheyWork(t *testing.T) {
	s := newShop(t)
	attempts := []payments.Attempt{s.Try(s.Invoice("1", 30_000)), s.Try(s.Invoice("2", 30_000)), s.Try(s.Invoice("3", 30_000))}
	s.Till.Fail(payments.ErrUnavailable)
	s.learns(attempts[0])
	s.broken(false)

	s.Till.Fail(payments.ErrCredentials)
	began := s.Clock
	for range 2 {
		for _, a := range attempts {
			s.learns(a)
		}
		s.Clock = s.Clock.Add(time.Minute)
	}
	require.Equal(t, []string{payments.AccessRefused}, s.exceptions(), "not one for each attempt")
	since, _ := s.repair()
	require.True(t, since.Equal(began))
	require.Empty(t, s.planned("1"), "the deal's owner cannot repair it")

	s.Till.Fail(payments.ErrUnavailable)
	s.learns(attempts[0])
	s.broken(true)
	s.Till.Fail(nil)
	s.learns(attempts[0]) // an answer that proves nothing, perhaps nothing of the credentials either
	s.broken(true)
	s.Learn(attempts[0], tilltest.Took(tilltest.AMD(30_000)))
	s.broken(false)

	s.Till.Fail(payments.ErrCredentials)
	s.learns(attempts[1])
	s.broken(true)
	require.NoError(t, s.decide(s.By, payments.Choice{Decision: "dismiss", Reason: "The bank is on it"}))
	s.learns(attempts[1])
	require.Empty(t, s.exceptions(), "said once")
	since, _ = s.repair()
	require.NotNil(t, since, "the settings still show it")
}

func TestWhoReplacesRefusedCredentialsHasRepairedThem(t *testing.T) {
	s := newShop(t)
	a := s.Try(s.Invoice("1", 30_000))
	ours, other := s.ID, tenantstest.Tenant(t, s.Fixture, "kommo", "other")
	s.ID = other
	require.NoError(t, s.Connect(t.Context(), s.ID, s.By, "till", map[string]string{"key": "k"}, false))
	theirs := s.Try(s.Invoice("1", 30_000))
	s.Till.Fail(payments.ErrCredentials)
	s.learns(theirs)
	s.broken(true)
	s.ID = ours
	s.broken(false)
	for name, repaired := range map[string]func() error{
		"others are connected": func() error {
			return s.Connect(t.Context(), s.ID, s.By, "till", map[string]string{"key": "new"}, false)
		},
		"the same are tried again": func() error {
			_, err := s.Test(t.Context(), s.ID, "till", nil)
			return err
		},
	} {
		s.learns(a)
		s.broken(true)
		require.NoError(t, repaired(), name)
		s.broken(false)
	}
	s.learns(a)
	require.NoError(t, s.Disconnect(t.Context(), s.ID, s.By, "till"))
	s.learns(a)
	require.Empty(t, s.exceptions(), "nobody can repair what was given up")
	s.ID = other
	s.broken(true)
}

// locked is a till that opens no checkout with the credentials it knows.
type locked struct {
	*tilltest.Till
	meanwhile func()
}

func (l locked) Start(context.Context, payments.Connection, payments.Order) (payments.Checkout, error) {
	return payments.Checkout{}, payments.ErrCredentials
}

func (l locked) Look(context.Context, payments.Connection, payments.Order) (payments.Observation, error) {
	l.meanwhile()
	return payments.Observation{}, payments.ErrCredentials
}

func TestARefusedStartTellsOfTheCredentials(t *testing.T) {
	s := newShop(t)
	in := s.Invoice("1", 30_000)
	s.Providers["till"] = locked{Till: s.Till}
	_, err := s.press(in, "till")
	require.ErrorIs(t, err, payments.ErrCredentials)
	s.broken(true)
	s.Providers["till"] = s.Till
	_, err = s.press(in, "till")
	require.NoError(t, err)
	s.broken(false)
}

func TestCredentialsThatWereReplacedMeanwhileAreNotBlamed(t *testing.T) {
	s := newShop(t)
	a := s.Try(s.Invoice("1", 30_000))
	s.Providers["till"] = locked{Till: s.Till, meanwhile: func() {
		require.NoError(t, s.Connect(t.Context(), s.ID, s.By, "till", map[string]string{"key": "new"}, false))
	}}
	s.learns(a)
	s.broken(false)
}

package arca

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/wire"
)

func TestTheGatewaysAreTheDocumentedOnes(t *testing.T) {
	text, err := os.ReadFile("../../../shared/fixtures/acquirers/arca/hosts.json")
	if err != nil {
		t.Skip("the documented hosts are not beside this checkout")
	}
	var hosts struct {
		Gateways []struct{ ID, Live, Test string }
	}
	require.NoError(t, json.Unmarshal(text, &hosts))
	require.Len(t, hosts.Gateways, 3)
	for _, g := range hosts.Gateways {
		name := strings.TrimPrefix(g.ID, "arca_")
		require.Equal(t, g.Live+"/", Gateways()[name])
		if strings.HasPrefix(g.Test, "https") {
			require.Equal(t, g.Test+"/", Gateways()[name+"-test"])
		}
	}
}

func TestEveryDocumentedActionCodeHasItsClass(t *testing.T) {
	text, err := os.ReadFile("../../../shared/fixtures/acquirers/arca/action-codes.json")
	if err != nil {
		t.Skip("the documented codes are not beside this checkout")
	}
	var table struct {
		Codes map[string]struct{ Class class }
	}
	require.NoError(t, json.Unmarshal(text, &table))
	require.Len(t, actions, 61)
	for code, documented := range table.Codes {
		require.Equal(t, documented.Class, actions[code], code)
	}
	require.Len(t, table.Codes, 61)
}

// TestTwoActionCodesSayMoreThanDeclined looks at a declined order with each code of the table.
func TestTwoActionCodesSayMoreThanDeclined(t *testing.T) {
	for code := range actions {
		fields, ok := wire.Parse([]byte(`{"orderNumber":"1","orderStatus":6,"actionCode":` + code + `,"amount":1000,"currency":"051"}`))
		require.True(t, ok)
		seen, err := answer{fields}.judge(payments.Order{Reference: "1"}, "")
		switch code {
		case "-2007": // nobody paid in time
			require.Equal(t, state.AttemptExpired, seen.Status)
		case "151019": // processing was asked and did not answer
			require.ErrorIs(t, err, payments.ErrNothingNew)
			require.Empty(t, seen.Status)
		default:
			require.NoError(t, err, code)
			require.Equal(t, state.AttemptFailed, seen.Status, code)
		}
		require.Zero(t, seen.Captured)
	}
	for code, want := range map[string]class{"0": approved, "-9000": waiting, "-100": untried, "-2007": expired, "116": customer, "100": issuer, "-2002": limit,
		"-2001": fraud, "-2011": unproven, "-2014": left, "-2013": exhausted, "909": technical, "151019": unsettled, "2003": setup, "110": invalid,
		"8204": duplicate, "914": notRefunded, "125": overloaded} {
		require.Equal(t, want, actions[code], code)
	}
}

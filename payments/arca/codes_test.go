package arca

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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

package arca

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

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

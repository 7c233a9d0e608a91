package mapping

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
)

func TestFieldsThatCannotTakeAValueAreRefused(t *testing.T) {
	pipelines := []crm.Pipeline{{ID: "0"}, {ID: "1"}}
	fields := []crm.Field{{ID: "T", Type: crm.TextField, Writable: true}, {ID: "N", Type: crm.NumberField, Writable: true},
		{ID: "D", Type: crm.DateField, Writable: true}, {ID: "L", Type: crm.LinkField, Writable: true}, {ID: "M", Type: crm.MoneyField},
		{ID: "O", Type: crm.OtherField, Writable: true}}
	line := func(key, field string) Fields { return Fields{"0": {key: field}} }
	for code, all := range map[string][]Fields{
		"pipeline_unknown": {{"7": {"status": "T"}}, {"0": {"status": "T"}, "": {"status": "-"}}},
		"value_unknown":    {line("owner", "T"), line("", "-")},
		"field_unknown":    {line("status", "X"), line("status", "UF_CRM_DEAL_DEALPAY_PAID")},
		"field_taken":      {{"0": {"status": "T", "reference": "T"}}, {"0": {"paid": "N", "refunded": "N"}}},
		"field_unfitting":  {line("status", "N"), line("paid", "D"), line("paid", "M"), line("link", "N"), line("paid_at", "T"), line("reference", "L"), line("status", "O")},
	} {
		for _, f := range all {
			_, err := f.Check(pipelines, fields)
			var refusal *Refusal
			require.ErrorAs(t, err, &refusal, "%v", f)
			require.Equal(t, code, refusal.Code, "%v", f)
		}
	}
	good := Fields{"0": {"status": "T", "paid": "N", "refunded": "-", "outstanding": "-", "link": "L", "paid_at": "D"}, "1": {"reference": "T"}}
	types, err := good.Check(pipelines, fields)
	require.NoError(t, err)
	require.Equal(t, map[string]crm.FieldType{"T": "text", "N": "number", "L": "link", "D": "date"}, types)
	require.Equal(t, crm.Place{Field: "N", Type: "number"}, good.Places(types)["0"]["paid"])
	require.Equal(t, crm.Place{Field: crm.Nowhere}, good.Places(types)["0"]["refunded"])
	require.Nil(t, Fields{"0": {"status": ""}, "1": {}}.Trim().Places(nil), "nothing is said")
}

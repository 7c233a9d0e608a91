package mapping_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/mapping"
)

// Sales has a stage for paid and for refunded deals, Support for refunded ones, Archive for none.
var stages = mapping.Stages{"sales": {"paid": "WON", "refunded": "BACK"}, "support": {"refunded": "RETURNED"}, "archive": {}}

func TestADealMovesToTheStageOfItsStatusInItsPipeline(t *testing.T) {
	for name, c := range map[string]struct {
		deal   crm.Deal
		status crm.Status
		want   string
	}{
		"where it is mapped":            {crm.Deal{Pipeline: "sales", Stage: "NEW"}, crm.Paid, "WON"},
		"in another pipeline":           {crm.Deal{Pipeline: "support", Stage: "NEW"}, crm.Refunded, "RETURNED"},
		"to where it is already":        {crm.Deal{Pipeline: "sales", Stage: "WON"}, crm.Paid, ""},
		"of a status without a stage":   {crm.Deal{Pipeline: "support", Stage: "NEW"}, crm.Paid, ""},
		"where nothing is mapped":       {crm.Deal{Pipeline: "archive", Stage: "NEW"}, crm.Paid, ""},
		"in a pipeline nobody knows":    {crm.Deal{Pipeline: "other", Stage: "NEW"}, crm.Paid, ""},
		"once it is won":                {crm.Deal{Pipeline: "sales", Stage: "WON", Closed: true}, crm.Refunded, ""},
		"once it is lost, paid late":    {crm.Deal{Pipeline: "sales", Stage: "LOSE", Closed: true}, crm.Paid, ""},
		"back, as long as it is open":   {crm.Deal{Pipeline: "sales", Stage: "DELIVERED"}, crm.Refunded, "BACK"},
		"of a status that is not known": {crm.Deal{Pipeline: "sales", Stage: "NEW"}, "", ""},
	} {
		require.Equal(t, c.want, stages.Move(c.deal, c.status), name)
	}
}

func TestADealIsReadFirstOnlyWhenItMayMove(t *testing.T) {
	require.True(t, stages.Wants(crm.Paid))
	require.True(t, stages.Wants(crm.Refunded))
	require.False(t, stages.Wants(crm.Expired))
	require.False(t, mapping.Stages(nil).Wants(crm.Paid))
	require.False(t, mapping.Stages{"sales": {"paid": ""}}.Wants(crm.Paid))
}

func TestADealStraysWhenItLeavesThePipelinesThatAreMapped(t *testing.T) {
	for name, c := range map[string]struct {
		from string
		deal crm.Deal
		want bool
	}{
		"to where nothing is mapped": {"sales", crm.Deal{Pipeline: "archive"}, true},
		"to where nobody knows":      {"sales", crm.Deal{Pipeline: "other"}, true},
		"to another mapped one":      {"sales", crm.Deal{Pipeline: "support"}, false},
		"not at all":                 {"sales", crm.Deal{Pipeline: "sales"}, false},
		"from where nothing was":     {"archive", crm.Deal{Pipeline: "other"}, false},
		"closed":                     {"sales", crm.Deal{Pipeline: "archive", Closed: true}, false},
		"never seen before":          {"", crm.Deal{Pipeline: "archive"}, false},
	} {
		require.Equal(t, c.want, stages.Strayed(c.from, c.deal), name)
	}
}

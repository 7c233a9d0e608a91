// Package mapping turns what is known of a deal's payments into what its CRM should show: stage, notes and tasks. It is
// pure.
package mapping

import (
	"fmt"
	"slices"

	"github.com/dealpay/dealpay/crm"
)

// Stages says which stage a status moves a deal to: pipeline → status → stage.
type Stages map[string]map[string]string

// Refusal says which line of a mapping cannot be accepted and why: code is one of pipeline_unknown, stage_unknown,
// status_unknown and won_unpaid; of fields also value_unknown, field_unknown, field_unfitting and field_taken.
type Refusal struct{ Code, Pipeline, Status, Stage, Value, Field string }

func (r *Refusal) Error() string {
	return fmt.Sprintf("mapping: %s: pipeline %q, %q to %q", r.Code, r.Pipeline, r.Status+r.Value, r.Stage+r.Field)
}

// mayWin are the statuses that may move a deal to a won stage: only those under which the money came.
var mayWin = []crm.Status{crm.Paid, crm.PartiallyRefunded, crm.Refunded}

// Check refuses a mapping that names what the CRM does not have, or that would win a deal that is not paid.
func Check(stages Stages, pipelines []crm.Pipeline) error {
	for pipeline, lines := range stages {
		at := slices.IndexFunc(pipelines, func(p crm.Pipeline) bool { return p.ID == pipeline })
		if at < 0 {
			return &Refusal{Code: "pipeline_unknown", Pipeline: pipeline}
		}
		for status, stage := range lines {
			if err := checkLine(pipelines[at], crm.Status(status), stage); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkLine(p crm.Pipeline, status crm.Status, stage string) error {
	refusal := &Refusal{Pipeline: p.ID, Status: string(status), Stage: stage}
	at := slices.IndexFunc(p.Stages, func(s crm.Stage) bool { return s.ID == stage })
	switch {
	case !slices.Contains(crm.Statuses, status):
		refusal.Code = "status_unknown"
	case at < 0:
		refusal.Code = "stage_unknown"
	case p.Stages[at].Kind == crm.StageWon && !slices.Contains(mayWin, status):
		refusal.Code = "won_unpaid"
	default:
		return nil
	}
	return refusal
}

// Wants says whether a change to this status may move a deal, so that the deal must be read first.
func (s Stages) Wants(status crm.Status) bool {
	for _, lines := range s {
		if lines[string(status)] != "" {
			return true
		}
	}
	return false
}

// Move returns the stage that a deal should go to now that its status is this one, or nothing: closed deals and deals
// that are there already are left alone.
func (s Stages) Move(deal crm.Deal, status crm.Status) string {
	stage := s[deal.Pipeline][string(status)]
	if deal.Closed || stage == deal.Stage {
		return ""
	}
	return stage
}

// Knows says whether anything is mapped in a pipeline.
func (s Stages) Knows(pipeline string) bool { return len(s[pipeline]) > 0 }

// Strayed says whether a deal was moved from a pipeline where its stage follows its payments to one where nothing does.
func (s Stages) Strayed(from string, deal crm.Deal) bool {
	return !deal.Closed && from != deal.Pipeline && s.Knows(from) && !s.Knows(deal.Pipeline)
}

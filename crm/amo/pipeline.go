package amo

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/dealpay/dealpay/crm"
)

type pipeline struct {
	ID       scalar      `json:"id"`
	Name     string      `json:"name"`
	Sort     json.Number `json:"sort"`
	Archive  bool        `json:"is_archive"`
	Embedded struct {
		Statuses []status `json:"statuses"`
	} `json:"_embedded"`
}

type status struct {
	ID   scalar      `json:"id"`
	Name string      `json:"name"`
	Sort json.Number `json:"sort"`
	Type scalar      `json:"type"`
}

// unsorted is the type of the stage of incoming leads, into which the API cannot move a lead.
const unsorted = "1"

// Pipelines lists the pipelines in use. The stage of incoming leads is left out: nothing can be moved there.
func (a *Account) Pipelines(ctx context.Context) ([]crm.Pipeline, error) {
	var l list[pipeline]
	if err := a.do(ctx, call{method: http.MethodGet, path: "/leads/pipelines"}, &l); err != nil {
		return nil, err
	}
	found := l.Embedded["pipelines"]
	slices.SortStableFunc(found, func(x, y pipeline) int { return bySort(x.Sort, y.Sort) })
	var got []crm.Pipeline
	for _, p := range found {
		if p.Archive {
			continue
		}
		stages := p.Embedded.Statuses
		slices.SortStableFunc(stages, func(x, y status) int { return bySort(x.Sort, y.Sort) })
		one := crm.Pipeline{ID: string(p.ID), Name: p.Name}
		for _, s := range stages {
			if s.Type != unsorted {
				one.Stages = append(one.Stages, crm.Stage{ID: string(s.ID), Name: s.Name, Kind: kindOf(s.ID)})
			}
		}
		got = append(got, one)
	}
	return got, nil
}

func bySort(x, y json.Number) int {
	i, _ := strconv.Atoi(x.String())
	j, _ := strconv.Atoi(y.String())
	return cmp.Compare(i, j)
}

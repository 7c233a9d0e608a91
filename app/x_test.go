package main

import (
	"testing"
	"time"
)

func TestX(t *testing.T) {
	for range 3 {
		b := time.Now()
		s := newScene(t)
		t.Log(time.Since(b))
		b = time.Now()
		s.stopWork()
		t.Log("stop", time.Since(b))
	}
}

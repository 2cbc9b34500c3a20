package dns

import (
	"context"
	"sync/atomic"
)

// Budget bounds the questions to name servers for a stranger, for one message for example.
// Answers from the cache cost nothing.
type Budget struct {
	left, asked atomic.Int64
}

// NewBudget makes a Budget for so many questions.
func NewBudget(questions int) *Budget {
	b := new(Budget)
	b.left.Store(int64(questions))
	return b
}

// Asked is how many questions were asked.
func (b *Budget) Asked() int { return int(b.asked.Load()) }

// Spent reports whether the budget has stopped a question.
func (b *Budget) Spent() bool { return b.left.Load() < 0 }

func (b *Budget) take() bool {
	if b.left.Add(-1) < 0 {
		b.left.Store(-1)
		return false
	}
	b.asked.Add(1)
	return true
}

type budgetKey struct{}

// ForStranger returns a context for questions about a stranger's mail. They count against b,
// and have slots of their own: any number of them leaves the relay its slots.
func ForStranger(ctx context.Context, b *Budget) context.Context {
	return context.WithValue(ctx, budgetKey{}, b)
}

// budgetOf returns a stranger's budget, or nil for a question of our own.
func budgetOf(ctx context.Context) *Budget {
	b, _ := ctx.Value(budgetKey{}).(*Budget)
	return b
}

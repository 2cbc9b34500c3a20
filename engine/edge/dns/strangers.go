package dns

import (
	"context"
	"sync/atomic"
)

// Budget is how many questions may be asked of name servers on behalf of a stranger, for
// one message for example. What is in the cache costs nothing.
type Budget struct {
	left, asked atomic.Int64
}

// NewBudget is a budget of so many questions.
func NewBudget(questions int) *Budget {
	b := new(Budget)
	b.left.Store(int64(questions))
	return b
}

// Asked is how many were asked.
func (b *Budget) Asked() int { return int(b.asked.Load()) }

// Spent says whether a question was not asked because of the budget.
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

// ForStranger returns a context for the questions that a stranger makes us ask. They count
// against b, and have slots of their own: however many there are, the questions of the
// relay go on.
func ForStranger(ctx context.Context, b *Budget) context.Context {
	return context.WithValue(ctx, budgetKey{}, b)
}

// budgetOf is the budget of a stranger's question; nil: it is one of our own.
func budgetOf(ctx context.Context) *Budget {
	b, _ := ctx.Value(budgetKey{}).(*Budget)
	return b
}

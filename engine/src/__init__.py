"""The solver-agnostic core: nouns first, then search.

Glossary
--------
column
    One number of the model's input.
feature
    A group of columns that is freed or fixed as one; explanations speak of features.
free set
    Features that may move within the region; all others keep the instance's value.
counterexample
    A point that changes the decision.  The features it moves are a weak CXp.
entailed
    No point changes the decision.  The fixed features that the proof used, its
    *core*, are a weak AXp.
unknown
    Neither was shown.  It is never read as yes or no.
AXp, CXp
    Subset-minimal weak abductive, contrastive explanation.  Every AXp hits every CXp.
oracle
    Decides free sets and shows why.
"""
